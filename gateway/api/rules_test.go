package api_test

import (
	"strings"
	"testing"
)

func TestRules(t *testing.T) {
	f := newFixture(t)
	field := f.do("admin", "POST", "/custom-fields", m{"key": "jira", "name": "Jira"}).is(201).text("id")
	template := f.do("admin", "POST", "/templates", m{"name": "Wait", "text": "We look at {{ticket.reference}}"}).is(201).text("id")
	quoting := f.do("admin", "POST", "/templates", m{"name": "Quoting", "text": "{{ticket.subject}}"}).is(201).text("id")
	made := f.do("admin", "POST", "/rules", m{
		"name": "Printers", "condition": "message.subject\n  .contains(\"rinter\")",
		"actions": m{"channel_id": f.sales, "priority": "high", "add_tags": []string{"printer"}, "template_id": template,
			"fields": m{"jira": "A-1"}, "extract": m{"field": "jira", "from": "text", "pattern": `[A-Z]+-\d+`}},
	}).is(201)
	path := "/rules/" + made.text("id")
	got := f.do("admin", "GET", path, nil).is(200).json()
	if got["position"] != 1.0 || got["when"] != "intake" || got["active"] != true || got["actions"].(m)["marker_id"] != nil {
		t.Errorf("the rule is %v", got)
	}
	f.do("admin", "PATCH", path, m{"position": 7, "actions": m{"priority": nil, "note": "a printer\nagain"}}).is(200)
	actions := f.do("admin", "GET", path, nil).json()["actions"].(m)
	if actions["priority"] != nil || actions["channel_id"] != f.sales || actions["note"] != "a printer\nagain" || actions["extract"].(m)["field"] != "jira" {
		t.Errorf("patched, the actions are %v", actions)
	}
	f.do("admin", "POST", "/rules", m{"name": "First", "position": 2}).is(201)
	names := ""
	for _, r := range f.do("admin", "GET", "/rules", nil).items() {
		names += r["name"].(string) + " "
	}
	if names != "First Printers " {
		t.Errorf("the rules look in the order %s", names)
	}
	f.do("admin", "POST", "/rules", m{"name": "First"}).is(409)
	for _, used := range []string{"/channels/" + f.sales, "/templates/" + template, "/custom-fields/" + field} {
		f.do("admin", "DELETE", used, nil).is(409)
	}
	f.do("admin", "PATCH", "/templates/"+template, m{"text": "{{ticket.subject}}"}).is(422).refuses("text")
	for _, c := range []struct {
		body  m
		field string
	}{
		{m{}, "name"}, {m{"name": "a", "when": "never"}, "when"}, {m{"name": "a", "when": "time"}, "event"},
		{m{"name": "a", "when": "time", "event": "status"}, "after_minutes"}, {m{"name": "a", "event": "status"}, "event"},
		{m{"name": "a", "condition": "message.subjekt == ''"}, "condition"}, {m{"name": "a", "when": "change", "condition": "message.size > 1"}, "condition"},
		{m{"name": "a", "actions": m{"channel_id": "x"}}, "actions.channel_id"}, {m{"name": "a", "actions": m{"owner_id": "x"}}, "actions.owner_id"},
		{m{"name": "a", "actions": m{"watcher_ids": []string{"x"}}}, "actions.watcher_ids[0]"}, {m{"name": "a", "actions": m{"priority": "huge"}}, "actions.priority"},
		{m{"name": "a", "actions": m{"template_id": quoting}}, "actions.template_id"}, {m{"name": "a", "actions": m{"fields": m{"nope": "x"}}}, "actions.fields"},
		{m{"name": "a", "actions": m{"fields": m{"jira": 5}}}, "actions.fields.jira"}, {m{"name": "a", "when": "change", "actions": m{"quarantine": true}}, "actions.quarantine"},
		{m{"name": "a", "actions": m{"extract": m{"field": "jira", "from": "text", "pattern": "("}}}, "actions.extract.pattern"},
		{m{"name": "a", "actions": m{"extract": m{"field": "jira", "from": "text", "pattern": "x*"}}}, "actions.extract.pattern"},
		{m{"name": "a", "actions": m{"extract": m{"field": "nope", "from": "text", "pattern": "x"}}}, "actions.extract.field"},
		{m{"name": "a", "actions": m{"add_tags": []string{"a", "a"}}}, "actions.add_tags"}, {m{"name": "a", "colour": "red"}, "colour"},
	} {
		f.do("admin", "POST", "/rules", c.body).is(422).refuses(c.field)
	}
	wrong := f.do("admin", "POST", "/rules", m{"name": "a", "condition": "true &&\n message.subjekt == ''"}).is(422)
	if !strings.Contains(wrong.Body.String(), "line 2, column 9: undefined field 'subjekt'") {
		t.Errorf("no place: %s", wrong.Body)
	}
	f.do("admin", "DELETE", path, nil).is(204)
	f.do("admin", "DELETE", "/custom-fields/"+field, nil).is(204)
}

// What a rule does stands on the activity, and explain and try tell it before.
func TestRulesAreTold(t *testing.T) {
	f := newFixture(t)
	rule := m{"name": "Printers", "condition": `message.subject.contains("fire")`, "actions": m{"channel_id": f.sales, "note": "n"}}
	first, _ := f.mailIn(customersMail)
	tried := f.do("admin", "POST", "/rules/try", m{"rule": rule}).is(200).json()
	if tried["tried"] != 1.0 || tried["matched"] != 1.0 || tried["items"].([]any)[0].(m)["ticket"] != float64(first) {
		t.Errorf("tried: %v", tried)
	}
	if tried := f.do("admin", "POST", "/rules/try", m{"condition": `message.from == "x"`, "limit": 5}).is(200).json(); tried["matched"] != 0.0 {
		t.Errorf("tried: %v", tried)
	}
	f.do("admin", "POST", "/rules/try", m{"condition": "message.x"}).is(422).refuses("condition")
	f.do("admin", "POST", "/rules/try", m{"rule": m{"when": "change"}}).is(422).refuses("rule.when")
	if n := len(f.do("admin", "GET", f.ticketPath(first)+"/activities", nil).items()); n != 1 {
		t.Errorf("a trial left %d activities", n)
	}
	f.do("admin", "POST", "/rules", rule).is(201)
	second, activity := f.mailIn(strings.Replace(customersMail, "Message-ID: <", "Message-ID: <second", 1))
	got := f.do("admin", "GET", f.ticketPath(second)+"/activities/"+activity, nil).is(200).json()["rules"].([]any)
	if len(got) != 1 || got[0].(m)["result"] != "matched" || got[0].(m)["did"].([]any)[0] != "channel: Support -> Sales" {
		t.Errorf("the trace is %v", got)
	}
	change := m{"name": "Urgent is Ann's", "when": "change", "condition": `ticket.priority == "urgent" && ticket.owner == ""`, "actions": m{"owner_id": f.agents["admin"]}}
	f.do("admin", "POST", "/rules", change).is(201)
	patched := f.do("admin", "PATCH", f.ticketPath(first), m{"priority": "urgent"}).is(200)
	if patched.json()["owner_id"] != f.agents["admin"] {
		t.Errorf("the answer shows the ticket before the rules: %s", patched.Body)
	}
	if now := f.do("admin", "GET", f.ticketPath(first), nil).Header().Get("ETag"); now != patched.Header().Get("ETag") {
		t.Errorf("the ETag is %s, the answer said %s", now, patched.Header().Get("ETag"))
	}
}

// Rules count by calendars, which stay while they do.
func TestRulesAndCalendars(t *testing.T) {
	f := newFixture(t)
	hours := m{"mon": []string{"09:00-17:00"}}
	office := f.do("admin", "POST", "/calendars", m{"name": "Office", "hours": hours}).is(201).text("id")
	waited := f.do("admin", "POST", "/calendars", m{"name": "Waited", "hours": hours}).is(201).text("id")
	rule := m{"name": "Silence", "when": "time", "event": "incoming", "after_minutes": 240, "calendar_id": waited, "condition": `time.open("Office")`}
	made := f.do("admin", "POST", "/rules", rule).is(201)
	path := "/rules/" + made.text("id")
	if got := f.do("admin", "GET", path, nil).is(200).text("calendar_id"); got != waited {
		t.Errorf("it counts by %s", got)
	}
	for _, r := range []reply{
		f.do("admin", "DELETE", "/calendars/"+office, nil), f.do("admin", "DELETE", "/calendars/"+waited, nil),
		f.do("admin", "PATCH", "/calendars/"+office, m{"name": "Bureau"}),
	} {
		if r.is(409); !strings.Contains(r.Body.String(), "rule Silence") {
			t.Errorf("the conflict does not name the rule: %s", r.Body)
		}
	}
	f.do("admin", "PATCH", "/calendars/"+office, m{"holidays": []string{"12-25"}}).is(200)
	f.do("admin", "PATCH", path, m{"calendar_id": nil, "condition": ""}).is(200)
	f.do("admin", "PATCH", "/calendars/"+office, m{"name": "Bureau"}).is(200)
	f.do("admin", "DELETE", "/calendars/"+waited, nil).is(204)
	for _, c := range []struct {
		body  m
		field string
	}{
		{m{"name": "a", "condition": `time.open("Office")`}, "condition"}, {m{"name": "a", "condition": `time.open(ticket.subject)`}, "condition"},
		{m{"name": "a", "calendar_id": office}, "calendar_id"},
		{m{"name": "a", "when": "time", "event": "status", "after_minutes": 1, "calendar_id": "gone"}, "calendar_id"},
	} {
		f.do("admin", "POST", "/rules", c.body).is(422).refuses(c.field)
	}
	f.do("admin", "POST", "/rules/try", m{"condition": `time.open("Nowhere")`}).is(422).refuses("condition")
	f.do("admin", "POST", "/rules/try", m{"condition": `time.open("Bureau")`}).is(200)
}
