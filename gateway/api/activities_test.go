package api_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"ticketgate/store"
)

func TestAnIncomingMailHasItsShape(t *testing.T) {
	f := newFixture(t)
	number, id := f.mailIn(customersMail)
	got := f.do("informal", "GET", f.ticketPath(number)+"/activities/"+id, nil).is(200).json()
	for _, field := range []string{
		"id", "ticket", "created_by", "account_id", "answers", "type", "medium", "author", "from", "to", "cc", "bcc",
		"subject", "text", "html", "reply_text", "message_id", "created_at", "sender", "auth", "match", "attachments",
		"show_in_external_access", "delivery", "changes", "comment", "draft", "send_at",
	} {
		if _, ok := got[field]; !ok {
			t.Errorf("%s is missing", field)
		}
	}
	if got["type"] != "incoming" || got["medium"] != "email" || got["sender"] != "participant" ||
		got["message_id"] != "one@customer.example" || got["delivery"] != nil {
		t.Errorf("activity: %v", got)
	}
	if auth := got["auth"].(m); auth["verdict"] != "unverified" || auth["dkim"] == nil {
		t.Errorf("auth: %v", auth)
	}
	if from := got["from"].([]any)[0].(m); from["address"] != "carla@customer.example" {
		t.Errorf("from: %v", from)
	}
}

func TestAnAnswerIsQueued(t *testing.T) {
	f := newFixture(t)
	number, incoming := f.mailIn(customersMail)
	path := f.ticketPath(number) + "/activities"
	r := f.do("standard", "POST", path, m{
		"type": "outgoing", "html": "<p>Use <b>water</b>.</p>", "cc": []string{"boss@customer.example"},
		"owner_id": f.agents["standard"], "attachments": []m{{"name": "how.txt", "type": "text/plain", "content": "aGk="}},
	}).is(201)
	id := r.text("id")
	if r.Header().Get("Location") != "/api/v1"+path+"/"+id {
		t.Errorf("Location %q", r.Header().Get("Location"))
	}
	if r.text("answers") != incoming || r.text("delivery") != "queued" || r.text("medium") != "email" ||
		r.text("subject") != "Re: [T#10001] Printer on fire" || !strings.Contains(r.text("text"), "water") {
		t.Errorf("answer: %s", r.Body)
	}
	rows := f.do("standard", "GET", path+"/"+id+"/deliveries", nil).items()
	recipients := map[any]bool{}
	for _, row := range rows {
		recipients[row["recipient"]] = true
		if row["state"] != "queued" || row["activity_id"] != id || row["ticket"] != float64(number) || row["next_attempt_at"] == nil {
			t.Errorf("row: %v", row)
		}
		if attempts, ok := row["attempts"].([]any); !ok || len(attempts) != 0 {
			t.Errorf("attempts: %v", row["attempts"])
		}
	}
	if !recipients["carla@customer.example"] || !recipients["boss@customer.example"] {
		t.Errorf("recipients: %v", recipients)
	}
	if owner := f.do("standard", "GET", f.ticketPath(number), nil).json()["owner_id"]; owner != f.agents["standard"] {
		t.Errorf("owner: %v", owner)
	}
}

func TestRefusedActivities(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	path := f.ticketPath(number) + "/activities"
	for _, c := range []struct {
		body  m
		field string
	}{
		{m{"text": "t"}, "type"},
		{m{"type": "status_change", "text": "t"}, "type"},
		{m{"type": "note", "text": "t", "sender": "agent"}, "sender"},
		{m{"type": "note", "text": "t", "medium": "pigeon"}, "medium"},
		{m{"type": "outgoing", "text": "t", "subject": "a\nb"}, "subject"},
		{m{"type": "outgoing", "text": "t", "to": []m{{"address": "a@b.example", "bcc": "x"}}}, "to[0]"},
	} {
		f.do("standard", "POST", path, c.body).is(422).refuses(c.field)
	}
	if n := len(f.do("standard", "GET", path, nil).items()); n != 1 {
		t.Errorf("%d activities", n)
	}
}

func TestNothingToSendWithOrTo(t *testing.T) {
	f := newFixture(t)
	call := f.do("standard", "POST", "/tickets", m{"kind": "enquiry", "channel_id": f.channel, "subject": "s", "text": "t",
		"contact": m{"name": "Kim", "phone": "1"}}).is(201).json()["number"]
	path := fmt.Sprintf("/tickets/%v/activities", call)
	r := f.do("standard", "POST", path, m{"type": "outgoing", "text": "t"}).is(422)
	if r.text("reason") != "no_address" || r.text("type") != "urn:ticketgate:problem:no_address" {
		t.Errorf("no address: %s", r.Body)
	}
	f.do("admin", "PATCH", "/mail-accounts/"+f.account, m{"active": false}).is(200)
	r = f.do("standard", "POST", path, m{"type": "outgoing", "text": "t", "to": []string{"kim@customer.example"}}).is(409)
	if r.text("reason") != "no_account" {
		t.Errorf("no account: %s", r.Body)
	}
	f.do("standard", "POST", path, m{"type": "outgoing", "medium": "phone", "text": "told him"}).is(201)
}

func TestShowingAnActivityOutside(t *testing.T) {
	f := newFixture(t)
	number, id := f.mailIn(customersMail)
	path := f.ticketPath(number) + "/activities/" + id
	if r := f.do("standard", "PATCH", path, m{"show_in_external_access": false}).is(200); r.json()["show_in_external_access"] != false {
		t.Errorf("hidden: %s", r.Body)
	}
	if r := f.do("standard", "GET", path, nil).is(200); r.json()["show_in_external_access"] != false {
		t.Errorf("stays hidden: %s", r.Body)
	}
	f.must(f.db.View(f.ctx, func(ctx context.Context, tx *store.Tx) error {
		a, err := tx.Activity(ctx, id)
		if err == nil && !a.Chosen {
			t.Error("it is not kept that an agent chose so")
		}
		return err
	}))
	f.do("standard", "PATCH", path, m{"show_in_external_access": nil}).is(422).refuses("show_in_external_access")
	f.do("standard", "PATCH", path, m{"text": "other"}).is(422).refuses("text")
	f.do("standard", "PATCH", path, m{}).is(200)

	internal := f.do("standard", "POST", "/tickets", m{"kind": "internal", "channel_id": f.channel, "subject": "s", "text": "t"}).is(201).json()["number"]
	note := f.do("standard", "GET", fmt.Sprintf("/tickets/%v/activities", internal), nil).items()[0]["id"]
	f.do("standard", "PATCH", fmt.Sprintf("/tickets/%v/activities/%v", internal, note), m{"show_in_external_access": true}).is(409)
	f.do("standard", "GET", fmt.Sprintf("/tickets/%v/activities/%s", internal, id), nil).is(404) // of another ticket
}

func TestRawAndAttachments(t *testing.T) {
	f := newFixture(t)
	number, id := f.mailIn(customersMail)
	path := f.ticketPath(number) + "/activities/" + id
	raw := f.do("standard", "GET", path+"/raw", nil).is(200)
	if raw.Body.String() != "Authentication-Results: desk.example.test; none\r\n"+customersMail {
		t.Errorf("raw: %q", raw.Body)
	}
	harmless := func(r reply, media, disposition string) {
		t.Helper()
		h := r.Header()
		if h.Get("Content-Type") != media || !strings.HasPrefix(h.Get("Content-Disposition"), disposition) ||
			h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") ||
			h.Get("Content-Length") != fmt.Sprint(r.Body.Len()) {
			t.Errorf("headers: %v", h)
		}
	}
	harmless(raw, "message/rfc822", "attachment;")
	for _, a := range f.do("standard", "GET", path, nil).json()["attachments"].([]any) {
		file := a.(m)
		at := path + "/attachments/" + file["id"].(string)
		switch file["type"] {
		case "image/png":
			harmless(f.do("standard", "GET", at, nil).is(200), "image/png", "attachment; filename*=utf-8''fl%C3%A4mme.png")
			harmless(f.do("standard", "GET", at+"?inline=1", nil).is(200), "image/png", "inline;")
		case "text/html":
			harmless(f.do("standard", "GET", at+"?inline=1", nil).is(200), "text/html", "attachment; filename=page.html")
		default:
			t.Errorf("attachment: %v", file)
		}
		f.do("standard", "GET", at+"?inline=yes", nil).is(422)
		f.do("outsider", "GET", at, nil).is(404)
	}
	f.do("standard", "GET", path+"/attachments/none", nil).is(404)
	note := f.do("standard", "POST", f.ticketPath(number)+"/activities", m{"type": "note", "text": "n"}).is(201).text("id")
	f.do("standard", "GET", f.ticketPath(number)+"/activities/"+note+"/raw", nil).is(404)
}

func TestChangingDeliveries(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	answer := f.do("standard", "POST", f.ticketPath(number)+"/activities", m{"type": "outgoing", "text": "t"}).is(201).text("id")
	id := f.do("standard", "GET", f.ticketPath(number)+"/activities/"+answer+"/deliveries", nil).items()[0]["id"].(string)
	path := "/deliveries/" + id
	if n := len(f.do("standard", "GET", fmt.Sprintf("/deliveries?state=queued&ticket=%d", number), nil).items()); n == 0 {
		t.Error("the ledger is empty")
	}
	if n := len(f.do("outsider", "GET", "/deliveries", nil).items()); n != 0 {
		t.Errorf("an outsider sees %d rows", n)
	}
	act := func(action string, status int, state string) {
		t.Helper()
		if r := f.do("standard", "POST", path+"/"+action, nil).is(status); status == 200 && r.text("state") != state {
			t.Errorf("%s: %s", action, r.Body)
		}
	}
	act("hold", 200, "held")
	if !slices.Equal(f.removed, []string{id}) {
		t.Errorf("removed: %v", f.removed)
	}
	act("retry", 409, "")
	act("release", 200, "queued")
	if len(f.queued) != 1 || f.queued[0].DeliveryID != id || f.queued[0].Priority != 2 {
		t.Errorf("queued: %v", f.queued)
	}
	act("release", 409, "")
	act("cancel", 200, "cancelled")
	if !slices.Equal(f.removed, []string{id, id}) {
		t.Errorf("removed: %v", f.removed)
	}
	act("cancel", 409, "")
	f.do("standard", "POST", path+"/explode", nil).is(404)
	if r := f.do("standard", "GET", path, nil).is(200); r.text("state") != "cancelled" {
		t.Errorf("row: %s", r.Body)
	}
}
