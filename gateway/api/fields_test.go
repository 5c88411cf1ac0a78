package api_test

import (
	"strings"
	"testing"
)

func TestCustomFields(t *testing.T) {
	f := newFixture(t)
	for key, field := range map[string]m{
		"serial": {"name": "Serial"}, "cost": {"name": "Cost", "type": "number"}, "due": {"name": "Due", "type": "date"},
		"paid": {"name": "Paid", "type": "checkbox"}, "size": {"name": "Size", "type": "select", "options": []string{"S", "M"}},
		"sales": {"name": "Sales only", "channel_ids": []string{f.sales}},
	} {
		field["key"] = key
		f.do("admin", "POST", "/custom-fields", field).is(201)
	}
	number, _ := f.mailIn(customersMail)
	path := f.ticketPath(number)
	etag := f.do("standard", "GET", path, nil).Header().Get("ETag")
	set := m{"serial": "SN 4711", "cost": 12.5, "due": "2026-12-24", "paid": true, "size": "M"}
	r := f.do("standard", "PATCH", path, m{"fields": set}, "If-Match", etag).is(200)
	got := r.json()["fields"].(m)
	for key, want := range set {
		if got[key] != want {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
	if r.Header().Get("ETag") == etag {
		t.Error("the ETag stayed")
	}
	list := f.do("standard", "GET", path+"/activities", nil).items()
	changes := list[len(list)-1]["changes"].([]any)
	if len(changes) != 5 || changes[0].(m)["field"] != "fields.cost" || changes[0].(m)["to"] != "12.5" {
		t.Errorf("the history says %v", changes)
	}
	for _, query := range []string{"field=serial:SN%204711", "field=paid:true", "field=cost:12.5", "q=4711", `q=%22SN+4711%22`} {
		if n := len(f.do("standard", "GET", "/tickets?"+query, nil).items()); n != 1 {
			t.Errorf("%s finds %d tickets", query, n)
		}
	}
	if n := len(f.do("standard", "GET", "/tickets?field=serial:none", nil).items()); n != 0 {
		t.Errorf("a value of none finds %d tickets", n)
	}
	f.do("standard", "GET", "/tickets?field=nothing:1", nil).is(422).refuses("field")
	f.do("standard", "PATCH", path, m{"fields": m{"serial": nil, "cost": 3}}).is(200)
	if got := f.do("standard", "GET", path, nil).json()["fields"].(m); got["serial"] != nil || got["cost"] != 3.0 || got["size"] != "M" {
		t.Errorf("the fields are %v", got)
	}
	made := f.do("standard", "POST", "/tickets", m{"kind": "internal", "channel_id": f.channel, "subject": "x", "text": "x", "fields": m{"serial": "XYZZY9"}}).is(201)
	if v := made.json(); v["fields"].(m)["serial"] != "XYZZY9" || v["version"] != 1.0 {
		t.Errorf("the new ticket is %v", v)
	}
	if n := len(f.do("standard", "GET", "/tickets?q=xyzzy9", nil).items()); n != 1 {
		t.Errorf("%d tickets found", n)
	}
	for field, fields := range map[string]m{
		"fields": {"nothing": "x"}, "fields.cost": {"cost": "many"}, "fields.due": {"due": "tomorrow"}, "fields.paid": {"paid": "yes"},
		"fields.size": {"size": "XL"}, "fields.serial": {"serial": strings.Repeat("x", 3000)},
	} {
		f.do("standard", "PATCH", path, m{"fields": fields}).is(422).refuses(field)
	}
	f.do("standard", "PATCH", path, m{"fields": m{"sales": "x"}}).is(422).refuses("fields.sales")
}

func TestCustomFieldsThatAreRefused(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		body  m
		field string
	}{
		{m{"key": "Serial", "name": "x"}, "key"}, {m{"key": "", "name": "x"}, "key"}, {m{"key": "a b", "name": "x"}, "key"},
		{m{"key": "a"}, "name"}, {m{"key": "a", "name": "x", "type": "select"}, "options"},
		{m{"key": "a", "name": "x", "type": "select", "options": []string{"A", "A"}}, "options"},
		{m{"key": "a", "name": "x", "options": []string{"A"}}, "options"},
		{m{"key": "a", "name": "x", "type": "image"}, "type"},
		{m{"key": "a", "name": "x", "channel_ids": []string{"none"}}, "channel_ids[0]"},
	} {
		f.do("admin", "POST", "/custom-fields", c.body).is(422).refuses(c.field)
	}
	id := f.do("admin", "POST", "/custom-fields", m{"key": "a", "name": "A"}).is(201).text("id")
	f.do("admin", "POST", "/custom-fields", m{"key": "a", "name": "B"}).is(409)
	f.do("admin", "PATCH", "/custom-fields/"+id, m{"type": "number"}).is(422).refuses("type")
	number, _ := f.mailIn(customersMail)
	f.do("standard", "PATCH", f.ticketPath(number), m{"fields": m{"a": "x"}}).is(200)
	f.do("admin", "DELETE", "/custom-fields/"+id, nil).is(409)
	f.do("standard", "PATCH", f.ticketPath(number), m{"fields": m{"a": nil}}).is(200)
	f.do("admin", "DELETE", "/custom-fields/"+id, nil).is(204)
}
