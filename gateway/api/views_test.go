package api_test

import (
	"fmt"
	"strings"
	"testing"
)

func (f *fixture) viewNames(who string) string {
	f.t.Helper()
	var names []string
	for _, v := range f.do(who, "GET", "/views", nil).items() {
		names = append(names, v["name"].(string))
	}
	return strings.Join(names, ", ")
}

func TestViewsAreOnesOwnOrShared(t *testing.T) {
	f := newFixture(t)
	made := f.do("standard", "POST", "/views", m{"name": "Important", "filter": m{"tag": "vip", "open": "true"}, "sort": "-priority", "position": 2}).is(201)
	path := strings.TrimPrefix(made.Header().Get("Location"), "/api/v1")
	got := made.json()
	if got["agent_id"] != f.agents["standard"] || got["shared"] != "none" || got["sort"] != "-priority" || got["position"] != 2.0 {
		t.Errorf("made: %s", made.Body)
	}
	if filter := got["filter"].(m); filter["tag"] != "vip" || filter["open"] != "true" || filter["owner_id"] != nil {
		t.Errorf("its filter: %v", filter)
	}
	shared := "/views/" + f.do("admin", "POST", "/views", m{"name": "All", "shared": "all", "position": 1}).is(201).text("id")
	for who, want := range map[string]string{"standard": "All, Important", "informal": "All", "admin": "All"} {
		if got := f.viewNames(who); got != want {
			t.Errorf("%s has %s", who, got)
		}
	}
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		var body any
		if method == "PATCH" {
			body = m{"name": "x"}
		}
		f.do("informal", method, path, body).is(404)
		f.do("admin", method, path, body).is(404)
		if method != "GET" {
			f.do("standard", method, shared, body).is(403)
		}
	}
	f.do("standard", "POST", "/views", m{"name": "x", "shared": "all"}).is(403)
	f.do("standard", "PATCH", path, m{"shared": "all"}).is(403)
	f.do("standard", "GET", shared, nil).is(200)
	changed := f.do("standard", "PATCH", path, m{"name": "Open", "filter": m{"open": "true"}}).is(200).json()
	if changed["name"] != "Open" || changed["sort"] != "-priority" || changed["filter"].(m)["tag"] != nil {
		t.Errorf("changed: %v", changed)
	}
	f.do("admin", "DELETE", shared, nil).is(204)
	f.do("standard", "DELETE", path, nil).is(204)
	f.do("standard", "GET", path, nil).is(404)
}

func TestAViewIsCheckedWhenItIsSaved(t *testing.T) {
	f := newFixture(t)
	const nobody = "01a20526-0000-7000-8000-000000000000"
	for field, body := range map[string]m{
		"name":                 {"filter": m{}},
		"shared":               {"name": "x", "shared": "some"},
		"sort":                 {"name": "x", "sort": "subject"},
		"filter.colour":        {"name": "x", "filter": m{"colour": "red"}},
		"filter.priority":      {"name": "x", "filter": m{"priority": "x"}},
		"filter.created_since": {"name": "x", "filter": m{"created_since": "monday"}},
		"filter.list":          {"name": "x", "filter": m{"list": "drafts"}},
		"filter.field":         {"name": "x", "filter": m{"field": "serial:1"}},
		"filter.tag":           {"name": "x", "filter": m{"tag": "a\x00b"}},
		"filter.channel_id":    {"name": "x", "filter": m{"channel_id": nobody}},
		"filter.status_id":     {"name": "x", "filter": m{"status_id": nobody}},
		"filter.owner_id":      {"name": "x", "filter": m{"owner_id": nobody}},
		"filter.watcher_id":    {"name": "x", "filter": m{"watcher_id": nobody}},
	} {
		f.do("standard", "POST", "/views", body).is(422).refuses(field)
	}
	for range 200 {
		f.do("standard", "POST", "/views", m{"name": "x", "filter": m{"owner_id": "none"}}).is(201)
	}
	f.do("standard", "POST", "/views", m{"name": "x"}).is(409)
}

func TestAViewChoosesTickets(t *testing.T) {
	f := newFixture(t)
	for i, priority := range []string{"low", "high", "normal"} {
		tags := []string{"vip"}
		if i == 2 {
			tags = nil
		}
		f.do("standard", "POST", "/tickets", m{"kind": "internal", "channel_id": f.channel, "subject": fmt.Sprint(i), "text": "t", "tags": tags, "priority": priority}).is(201)
	}
	mine := f.do("standard", "POST", "/views", m{"name": "x", "filter": m{"tag": "vip", "list": "my"}, "sort": "-priority"}).is(201).text("id")
	all := f.do("admin", "POST", "/views", m{"name": "x", "filter": m{"tag": "vip"}, "shared": "all"}).is(201).text("id")
	for query, want := range map[string]string{
		"standard view=" + mine:                             "10002 10001",
		"standard view=" + mine + "&priority=low":           "10001",
		"standard view=" + mine + "&sort=number":            "10001 10002",
		"standard view=" + mine + "&tag=x":                  "",
		"standard view=" + all:                              "10002 10001",
		"informal view=" + all:                              "10002 10001",
		"outsider view=" + all:                              "", // a view shows nobody more than he sees
		"informal view=" + all + "&list=my":                 "",
		"informal view=" + all + "&sort=priority&limit=200": "10001 10002",
	} {
		who, query, _ := strings.Cut(query, " ")
		if got := f.listed(who, query); got != want {
			t.Errorf("%s by %s: %q, want %q", query, who, got, want)
		}
	}
	f.do("informal", "GET", "/tickets?view="+mine, nil).is(404)
	f.do("admin", "GET", "/tickets?view="+mine, nil).is(404)
	f.do("standard", "GET", "/tickets?view=x", nil).is(404)
}
