package api_test

import (
	"fmt"
	"testing"
)

func TestAnActivityMoves(t *testing.T) {
	f := newFixture(t)
	number, id := f.mailIn(customersMail)
	f.do("standard", "POST", f.ticketPath(number)+"/activities", m{"type": "note", "text": "look"}).is(201)
	path := f.ticketPath(number) + "/activities/" + id + "/move"
	moved := f.do("standard", "POST", path, m{"to": "new"}).is(200).json()
	to := int64(moved["ticket"].(float64))
	if to == number || moved["moved"].([]any)[0] != float64(number) {
		t.Fatalf("moved: %v", moved)
	}
	f.do("standard", "POST", path, m{"to": "new"}).is(404) // it is not there any more
	for _, n := range []int64{number, to} {
		ticket := f.do("standard", "GET", f.ticketPath(n), nil).is(200).json()
		items := f.do("standard", "GET", f.ticketPath(n)+"/activities", nil).items()
		if got := ticket["counts"].(m)["activities"]; got != float64(len(items)) {
			t.Errorf("ticket %d counts %v activities of %d", n, got, len(items))
		}
	}
	path = f.ticketPath(to) + "/activities/" + id + "/move"
	for _, body := range []any{m{"to": 99999}, m{"to": "old"}, m{"to": 0}, m{"to": 1.5}, m{"to": to}, m{}} {
		f.do("standard", "POST", path, body).is(422).refuses("to")
	}
	hidden := f.internal(f.sales)
	f.do("standard", "POST", path, m{"to": hidden}).is(422).refuses("to")
	if back := f.do("standard", "POST", path, m{"to": number}).is(200).json(); back["ticket"] != float64(number) || len(back["moved"].([]any)) != 0 {
		t.Errorf("moved back: %v", back)
	}
	if emptied := f.do("standard", "GET", f.ticketPath(to), nil).is(200).json(); emptied["merged_into"] != float64(number) {
		t.Errorf("the emptied ticket: %v", emptied["merged_into"])
	}
}

func TestParticipantsOfATicket(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	etag := f.do("standard", "GET", f.ticketPath(number), nil).Header().Get("ETag")
	change := m{"participants": []m{{"address": "boss@customer.example", "name": "Boss", "active": true}}}
	ticket := f.do("standard", "PATCH", f.ticketPath(number), change, "If-Match", etag).is(200).json()
	if got := fmt.Sprint(ticket["participants"]); got != "[map[active:true address:boss@customer.example name:Boss] map[active:true address:carla@customer.example name:Carla Customer]]" {
		t.Errorf("participants: %s", got)
	}
	if contact := ticket["contact"].(m); contact["email"] != "carla@customer.example" {
		t.Errorf("contact: %v", contact)
	}
	f.do("standard", "PATCH", f.ticketPath(number), change, "If-Match", etag).is(412)
	sent := f.do("standard", "POST", f.ticketPath(number)+"/activities", m{"type": "outgoing", "text": "hello"}).is(201).json()
	if got := fmt.Sprint(sent["cc"]); got != "[map[address:boss@customer.example name:Boss]]" {
		t.Errorf("cc of the answer: %s", got)
	}
	f.do("standard", "PATCH", f.ticketPath(number), m{"participants": []m{{"address": "nobody", "active": true}}}).is(422).refuses("participants[0].address")
	f.do("standard", "PATCH", f.ticketPath(number), m{"participants": []m{{"active": true}}}).is(422)
	nobody := f.do("standard", "POST", "/tickets", m{"kind": "enquiry", "channel_id": f.channel, "subject": "Call", "text": "x", "contact": m{"name": "No Mail"}}).is(201).json()
	if email, ok := nobody["contact"].(m)["email"]; !ok || email != "" {
		t.Errorf("contact without an address: %v", nobody["contact"])
	}
}
