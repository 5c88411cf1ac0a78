package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ticketgate/gateway/api"
)

// counts gives the answer as a person sees it, in one line.
func (f *fixture) counts(who string) string {
	f.t.Helper()
	v := f.do(who, "GET", "/tickets/counts", nil).is(200).json()
	return fmt.Sprint(v["my"], v["overview"], v["drafts"], v["held"], v["quarantine"], len(v["channels"].(m)), len(v["statuses"].(m)))
}

func TestTheNumbersBesideTheLists(t *testing.T) {
	f := newFixture(t)
	berlin, err := time.LoadLocation("Europe/Berlin")
	f.must(err)
	f.serve(func(o *api.Options) { o.Timezone = berlin })
	f.now = time.Date(2026, 11, 22, 22, 59, 0, 0, time.UTC) // a minute before midnight
	number, _ := f.mailIn(customersMail)
	f.do("standard", "POST", "/tickets", m{"kind": "internal", "draft": true}).is(201)
	f.do("admin", "POST", "/tickets", m{"kind": "internal", "channel_id": f.sales, "subject": "s", "text": "t"}).is(201)
	f.do("admin", "PATCH", "/channels/"+f.channel, m{"require_dkim": "quarantine"}).is(200)
	f.service.Take(f.ctx, f.incoming(strangersMail))

	const none = "map[handled_today:0 handled_yesterday:0 open:0]"
	for who, want := range map[string]string{
		"standard": "map[assigned:0 new:1] map[handled_today:0 handled_yesterday:0 open:1] 1 0 0 1 1",
		"informal": "map[assigned:0 new:0] map[handled_today:0 handled_yesterday:0 open:1] 0 0 0 1 1",
		"outsider": "map[assigned:0 new:0] " + none + " 0 0 0 0 0",
		"admin":    "map[assigned:0 new:1] map[handled_today:0 handled_yesterday:0 open:2] 0 0 1 2 1",
	} {
		if got := f.counts(who); got != want {
			t.Errorf("%s: %s, want %s", who, got, want)
		}
	}
	f.do("standard", "PATCH", f.ticketPath(number), m{"status_id": f.statuses["Successfully closed"]}).is(200)
	if got := f.counts("standard"); !strings.Contains(got, "handled_today:1 handled_yesterday:0 open:0") {
		t.Errorf("closed: %s", got)
	}
	f.advance(time.Minute)
	if got := f.counts("standard"); !strings.Contains(got, "handled_today:0 handled_yesterday:1 open:0") {
		t.Errorf("after midnight: %s", got)
	}
	f.do("standard", "PATCH", "/tickets/counts", m{"subject": "x"}).is(404) // a number it is not
}

// The number beside the drafts is that of their list: one in a ticket that moved out
// of sight is in neither.
func TestDraftsOutOfSightAreNotCounted(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	f.do("standard", "POST", f.ticketPath(number)+"/activities", m{"type": "note", "text": "later", "draft": true}).is(201)
	drafts := func() any { return f.do("standard", "GET", "/tickets/counts", nil).is(200).json()["drafts"] }
	if n := drafts(); n != 1.0 {
		t.Fatalf("%v drafts", n)
	}
	f.do("admin", "PATCH", f.ticketPath(number), m{"channel_id": f.sales}).is(200)
	if n, items := drafts(), f.do("standard", "GET", "/tickets?list=drafts", nil).items(); n != 0.0 || len(items) != 0 {
		t.Errorf("%v are counted, the list holds %v", n, items)
	}
}
