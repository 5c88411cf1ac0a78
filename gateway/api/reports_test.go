package api_test

import (
	"strings"
	"testing"
	"time"

	"ticketgate/gateway/api"
)

func TestReports(t *testing.T) {
	f := newFixture(t)
	berlin, err := time.LoadLocation("Europe/Berlin")
	f.must(err)
	f.serve(func(o *api.Options) { o.Timezone = berlin })
	mail := func(id string) string {
		n, _ := f.mailIn(strings.Replace(customersMail, "<one@", "<"+id+"@", 1))
		return f.ticketPath(n)
	}
	first := mail("a")
	f.advance(13*time.Hour + 30*time.Minute) // 23:30 UTC, the next day in Berlin
	second := mail("b")
	f.do("standard", "PATCH", first, m{"status_id": f.statuses["Successfully closed"], "owner_id": f.agents["standard"]}).is(200)
	f.do("standard", "POST", second+"/times", m{"minutes": 12, "date": "2026-11-23"}).is(201)
	f.do("standard", "POST", second+"/times", m{"minutes": 99, "date": "2026-10-01"}).is(201) // before the time
	f.do("admin", "POST", "/tickets", m{"kind": "internal", "channel_id": f.sales, "subject": "x", "text": "x"}).is(201)
	report := func(who, query string) map[string]m {
		rows := map[string]m{}
		for _, item := range f.do(who, "GET", "/reports/tickets?"+query, nil).is(200).json()["items"].([]any) {
			rows[item.(m)["name"].(string)] = item.(m)
		}
		return rows
	}
	same := func(what string, row m, want m) {
		t.Helper()
		for name, value := range want {
			if row[name] != value {
				t.Errorf("%s: %s is %v, want %v", what, name, row[name], value)
			}
		}
	}
	byChannel := report("standard", "")
	same("Support", byChannel["Support"], m{"key": f.channel, "created": 2.0, "closed": 1.0, "open": 1.0, "resolve_minutes": 810.0, "worked_minutes": 12.0})
	if len(byChannel) != 1 {
		t.Errorf("what he doesn't see counts: %v", byChannel)
	}
	if all := report("admin", ""); len(all) != 2 {
		t.Errorf("the admin's report is %v", all)
	}
	if none := report("outsider", ""); len(none) != 0 {
		t.Errorf("the outsider's report is %v", none)
	}
	byDay := report("standard", "by=day")
	same("the first day", byDay["2026-11-22"], m{"created": 1.0, "closed": 0.0, "open": nil, "resolve_minutes": nil})
	same("the second", byDay["2026-11-23"], m{"created": 1.0, "closed": 1.0, "worked_minutes": 12.0})
	byOwner := report("standard", "by=owner")
	same("owned", byOwner["standard"], m{"closed": 1.0, "created": 1.0, "open": 0.0})
	same("nobody's", byOwner[""], m{"created": 1.0, "open": 1.0})
	same("by status", report("standard", "by=status")["Successfully closed"], m{"closed": 1.0})
	same("one day alone", report("standard", "by=channel&since=2026-11-23&until=2026-11-23")["Support"], m{"created": 1.0, "closed": 1.0})
	for _, bad := range []string{"since=x", "until=2026-02-30", "since=2026-11-24&until=2026-11-23", "since=2020-01-01", "by=weather"} {
		f.do("standard", "GET", "/reports/tickets?"+bad, nil).is(422)
	}
}
