package api_test

import (
	"testing"
	"time"
)

func officeHours() m {
	return m{"name": "Office", "timezone": "Europe/Berlin", "hours": m{"mon": []string{"09:00-17:00"}, "tue": []string{"09:00-17:00"}},
		"holidays": []string{"12-25"}}
}

func TestServiceLevels(t *testing.T) {
	f := newFixture(t)
	calendar := f.do("admin", "POST", "/calendars", officeHours()).is(201).text("id")
	level := func(name string, minutes int, calendar any) string {
		return f.do("admin", "POST", "/service-levels", m{"name": name, "respond_minutes": minutes, "resolve_minutes": 480, "calendar_id": calendar}).is(201).text("id")
	}
	silver, gold := level("Silver", 120, nil), level("Gold", 60, calendar)
	f.do("admin", "PATCH", "/channels/"+f.channel, m{"service_level_id": silver,
		"escalation": m{"after_minutes": 240, "free_owner": true, "to_channel_id": f.sales, "notify": []string{f.agents["standard"]}}}).is(200)
	first, _ := f.mailIn(customersMail)
	f.advance(time.Minute)
	second, _ := f.mailIn(stranger2)
	at := f.clock().Add(-time.Minute)
	got := f.do("standard", "GET", f.ticketPath(first), nil).json()["service_level"].(m)
	if got["name"] != "Silver" || got["state"] != "green" || got["respond_by"] != at.Add(2*time.Hour).Format(time.RFC3339) {
		t.Errorf("the first stands %v", got)
	}
	// A ticket's own level goes before the channel's; it is Sunday, and the office opens on Monday.
	f.do("standard", "PATCH", f.ticketPath(second), m{"service_level_id": gold}).is(200)
	got = f.do("standard", "GET", f.ticketPath(second), nil).json()["service_level"].(m)
	if got["name"] != "Gold" || got["respond_by"] != "2026-11-23T09:00:00Z" {
		t.Errorf("the second stands %v", got)
	}
	order := func(sort string) (numbers []any) {
		for _, item := range f.do("standard", "GET", "/tickets?sort="+sort, nil).items() {
			numbers = append(numbers, item["number"])
		}
		return numbers
	}
	third := f.do("standard", "POST", "/tickets", m{"kind": "internal", "channel_id": f.channel, "subject": "x", "text": "x"}).is(201).json()["number"]
	if o := order("respond_by"); o[0] != float64(first) || o[1] != float64(second) || o[2] != third { // none is due: last
		t.Errorf("by respond_by it is %v", o)
	}
	f.do("standard", "POST", f.ticketPath(first)+"/activities", m{"type": "outgoing", "text": "x"}).is(201)
	if got := f.do("standard", "GET", f.ticketPath(first), nil).json()["service_level"].(m); got["state"] != "paused" || got["respond_by"] != nil {
		t.Errorf("answered, it stands %v", got)
	}
	contact := f.do("standard", "GET", f.ticketPath(first), nil).json()["contact"].(m)["id"].(string)
	if v := f.do("standard", "PATCH", "/contacts/"+contact, m{"service_level_id": gold}).is(200).json(); v["service_level_id"] != gold {
		t.Errorf("the contact is %v", v)
	}
	company := f.do("standard", "POST", "/companies", m{"name": "c", "service_level_id": gold}).is(201).text("id")
	if v := f.do("standard", "GET", "/companies/"+company, nil).json(); v["service_level_id"] != gold {
		t.Errorf("the company is %v", v)
	}
	if items := f.do("standard", "GET", "/contacts", nil).items(); items[len(items)-1]["service_level_id"] != gold && items[0]["service_level_id"] != gold {
		t.Errorf("the contacts are %v", items)
	}
	f.do("admin", "DELETE", "/service-levels/"+gold, nil).is(409)
	f.do("admin", "DELETE", "/calendars/"+calendar, nil).is(409)
	f.do("admin", "DELETE", "/service-levels/"+silver, nil).is(409)
}

func TestRefusedServiceLevels(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	for _, c := range []struct {
		method, path string
		body         m
		field        string
	}{
		{"POST", "/service-levels", m{"name": "x"}, "respond_minutes"},
		{"POST", "/service-levels", m{"respond_minutes": 1}, "name"},
		{"POST", "/service-levels", m{"name": "x", "respond_minutes": -1}, "respond_minutes"},
		{"POST", "/service-levels", m{"name": "x", "respond_minutes": 1, "calendar_id": "none"}, "calendar_id"},
		{"POST", "/service-levels", m{"name": "x", "respond_minutes": 1, "manager_id": "none"}, "manager_id"},
		{"POST", "/calendars", m{"name": "x"}, "hours"},
		{"POST", "/calendars", m{"name": "x", "hours": m{"mon": []string{"9-5"}}}, "hours.mon"},
		{"PATCH", "/channels/" + f.channel, m{"service_level_id": "none"}, "service_level_id"},
		{"PATCH", "/channels/" + f.channel, m{"escalation": m{"after_minutes": 5, "to_channel_id": f.channel}}, "escalation.to_channel_id"},
		{"PATCH", "/channels/" + f.channel, m{"escalation": m{"after_minutes": 5, "notify": []string{"none"}}}, "escalation.notify"},
		{"PATCH", f.ticketPath(number), m{"service_level_id": "none"}, "service_level_id"},
		{"POST", "/companies", m{"name": "x", "service_level_id": "none"}, "service_level_id"},
		{"POST", f.ticketPath(number) + "/alarms", m{"comment": "x"}, "at"},
		{"POST", f.ticketPath(number) + "/alarms", m{"at": f.now.Add(-time.Hour)}, "at"},
		{"POST", f.ticketPath(number) + "/alarms", m{"at": f.now.Add(time.Hour), "agent_id": f.agents["outsider"]}, "agent_id"},
	} {
		f.do("admin", c.method, c.path, c.body).is(422).refuses(c.field)
	}
}

func TestAlarmsOfATicket(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	path := f.ticketPath(number) + "/alarms"
	made := f.do("standard", "POST", path, m{"at": f.now.Add(time.Hour), "comment": "call"}).is(201)
	if v := made.json(); v["agent_id"] != f.agents["standard"] || v["done_at"] != nil || v["comment"] != "call" {
		t.Errorf("%v", v)
	}
	at := path + "/" + made.text("id")
	f.do("informal", "PATCH", at, m{"at": f.now.Add(2 * time.Hour)}).is(200)
	f.advance(3 * time.Hour)
	f.must(f.service.KeepTime(f.ctx))
	if items := f.do("standard", "GET", path, nil).items(); len(items) != 1 || items[0]["done_at"] == nil {
		t.Errorf("%v", items)
	}
	f.do("standard", "DELETE", at, nil).is(204)
	f.do("standard", "DELETE", at, nil).is(404)
}

const stranger2 = "From: Sam <sam@other.example>\r\nTo: support@example.test\r\nSubject: Second\r\nMessage-ID: <second@other.example>\r\n\r\nHello\r\n"
