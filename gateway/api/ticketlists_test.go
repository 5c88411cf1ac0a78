package api_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// listed gives the numbers of a list, in its order.
func (f *fixture) listed(who, query string) string {
	f.t.Helper()
	var numbers []string
	for _, v := range f.do(who, "GET", "/tickets?"+query, nil).items() {
		numbers = append(numbers, fmt.Sprint(v["number"]))
	}
	return strings.Join(numbers, " ")
}

func TestTheFiltersOfTheList(t *testing.T) {
	f := newFixture(t)
	f.do("standard", "POST", "/tickets", m{"kind": "internal", "channel_id": f.channel, "subject": "one", "text": "t", "tags": []string{"vip"},
		"owner_id": f.agents["standard"], "responsible_id": f.agents["informal"], "watchers": []string{f.agents["informal"]}}).is(201)
	f.advance(60e9)
	f.do("standard", "POST", "/tickets", m{"kind": "internal", "channel_id": f.channel, "subject": "two", "text": "t"}).is(201)
	for query, want := range map[string]string{
		"tag=vip": "10001", "tag=VIP": "", "owner_id=none": "10002", "owner_id=" + f.agents["standard"]: "10001",
		"responsible_id=" + f.agents["informal"]: "10001", "watcher_id=" + f.agents["informal"]: "10001",
		"held=true": "", "held=false": "10002 10001",
		"created_since=2026-11-22T10:01:00Z": "10002", "created_until=2026-11-22T10:01:00Z": "10001",
		"created_since=2026-11-22T11:01:00%2B01:00": "10002", "updated_since=2026-11-22T10:00:30Z": "10002", "updated_until=2026-11-22T10:00:30Z": "10001",
	} {
		if got := f.listed("informal", query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
		if got := f.listed("outsider", query); got != "" {
			t.Errorf("%s: an outsider sees %s", query, got)
		}
	}
	for query, field := range map[string]string{"held=yes": "held", "created_since=monday": "created_since", "tags=vip": "tags"} {
		f.do("standard", "GET", "/tickets?"+query, nil).is(422).refuses(field)
	}
	r := f.do("standard", "POST", "/tickets/bulk", m{"filter": m{"tag": "vip", "created_until": "2026-11-22T10:01:00Z"}, "patch": m{"priority": "high"}}).is(200)
	if got := r.json()["results"].([]any); len(got) != 1 || got[0].(m)["number"] != 10001.0 {
		t.Errorf("changed by the filter: %s", r.Body)
	}
}

// lists are the paths that list tickets and activities, and what of them is text.
var lists = map[string]string{
	"/tickets":    "q tag owner_id responsible_id watcher_id channel_id status_id contact_id company_id marker_id",
	"/activities": "q message_id from",
}

// W06: what is written for a database is only text.
func TestW06ListsTakeTextAsText(t *testing.T) {
	f := newFixture(t)
	f.mailIn(customersMail)
	for path, names := range lists {
		for _, name := range strings.Fields(names) {
			for _, text := range []string{"' OR 1=1--", "%", "_", `\`, `"unbalanced`, "') OR ('1'='1", "$1", "*", `["`, "x:*"} {
				r := f.do("admin", "GET", path+"?"+name+"="+url.QueryEscape(text), nil)
				if got := r.items(); len(got) != 0 {
					t.Errorf("%s?%s=%s: %v", path, name, text, got)
				}
			}
			f.do("admin", "GET", path+"?"+name+"=a%00b", nil).is(422).refuses(name)
			f.do("admin", "GET", path+"?"+name+"=%ff", nil).is(422).refuses(name)
		}
		for _, query := range []string{"op=XX", "sort=id%3Bdrop", "list=all'--", "priority=x", "kind=x"} {
			f.do("admin", "GET", path+"?"+query, nil).is(422)
		}
	}
}

// W07: a query of very many terms is refused, or costs little.
func TestW07QueriesWithoutEnd(t *testing.T) {
	f := newFixture(t)
	f.mailIn(customersMail)
	for path := range lists {
		f.do("admin", "GET", path+"?q="+strings.Repeat("a*+", 10000), nil).is(422).refuses("q")
		f.do("admin", "GET", path+"?q="+strings.Repeat("a*+", 166), nil).is(200)
	}
}

// W22: limits are bounded, and a cursor belongs to its list.
func TestW22PagesAreBounded(t *testing.T) {
	f := newFixture(t)
	for range 2 {
		f.do("admin", "POST", "/tickets", m{"kind": "internal", "channel_id": f.sales, "subject": "s", "text": "t"}).is(201)
	}
	for path := range lists {
		for _, limit := range []string{"-1", "0", "1000000000", "x", "99999999999999999999"} {
			f.do("admin", "GET", path+"?limit="+limit, nil).is(422).refuses("limit")
		}
		next := f.do("admin", "GET", path+"?limit=1", nil).is(200).text("next")
		if got := f.do("admin", "GET", path+"?cursor="+next, nil).items(); len(got) != 1 {
			t.Errorf("%s: the second page is %v", path, got)
		}
		// The cursor of somebody who sees more shows no more.
		if got := f.do("standard", "GET", path+"?cursor="+next, nil).items(); len(got) != 0 {
			t.Errorf("%s: another's cursor shows %v", path, got)
		}
		for other := range lists {
			if other != path {
				f.do("admin", "GET", other+"?cursor="+next, nil).is(400)
			}
		}
		f.do("admin", "GET", path+"?cursor=x", nil).is(400)
	}
}
