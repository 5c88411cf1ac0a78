package api_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func (f *fixture) ticketPath(number int64) string { return fmt.Sprintf("/tickets/%d", number) }

func TestATicketOfAMailHasItsShape(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	r := f.do("standard", "GET", f.ticketPath(number), nil).is(200)
	got := r.json()
	for _, field := range []string{
		"number", "reference", "kind", "subject", "channel_id", "status_id", "status", "priority", "marker_id", "contact",
		"company", "owner_id", "responsible_id", "created_by", "created_at", "updated_at", "last_incoming_at",
		"last_outgoing_at", "merged_into", "suggested_ticket", "links", "participants", "held", "tags", "counts",
	} {
		if _, ok := got[field]; !ok {
			t.Errorf("%s is missing", field)
		}
	}
	if got["number"] != float64(10001) || got["reference"] != "T#10001" || got["kind"] != "email" ||
		got["subject"] != "Printer on fire" || got["owner_id"] != nil || got["created_at"] != "2026-11-22T10:00:00Z" {
		t.Errorf("ticket: %s", r.Body)
	}
	if c := got["contact"].(m); c["email"] != "carla@customer.example" {
		t.Errorf("contact: %v", c)
	}
	if s := got["status"].(m); s["name"] != "New" || s["responsibility"] != "us" {
		t.Errorf("status: %v", s)
	}
	if counts := got["counts"].(m); counts["activities"] != 1.0 || counts["files"] != 2.0 || counts["minutes"] != 0.0 {
		t.Errorf("counts: %v", counts)
	}
	if r.Header().Get("ETag") != `"1"` {
		t.Errorf("ETag %q", r.Header().Get("ETag"))
	}
	listed := f.do("standard", "GET", "/tickets", nil).items()
	if len(listed) != 1 || fmt.Sprint(listed[0]["contact"]) != fmt.Sprint(got["contact"]) {
		t.Errorf("listed: %v", listed)
	}
}

func TestMakingTicketsOfThreeKinds(t *testing.T) {
	f := newFixture(t)
	made := f.do("standard", "POST", "/tickets", m{
		"kind": "email", "account_id": f.account, "to": []any{"kim@customer.example", m{"name": "Lee, Ann", "address": "ann@customer.example"}},
		"subject": "Your order", "text": "It is on its way.", "attachments": []m{{"name": "a.txt", "type": "text/plain", "content": "aGk="}},
	}).is(201)
	if made.Header().Get("Location") != "/api/v1/tickets/10001" || made.text("channel_id") != f.channel {
		t.Errorf("email: %s at %s", made.Body, made.Header().Get("Location"))
	}
	first := f.do("standard", "GET", "/tickets/10001/activities", nil).items()[0]
	if first["type"] != "outgoing" || first["delivery"] != "queued" || len(first["attachments"].([]any)) != 1 {
		t.Errorf("its first activity: %v", first)
	}
	if to := first["to"].([]any)[1].(m); to["name"] != "Lee, Ann" || to["address"] != "ann@customer.example" {
		t.Errorf("to: %v", to)
	}
	f.do("standard", "POST", "/tickets", m{
		"kind": "enquiry", "channel_id": f.channel, "subject": "Called about the order", "text": "Wants it today.",
		"contact": m{"name": "Kim", "email": "kim@customer.example"}, "priority": "high", "tags": []string{"order"},
	}).is(201)
	internal := f.do("standard", "POST", "/tickets", m{
		"kind": "internal", "channel_id": f.channel, "subject": "Paper is out", "text": "Order some.",
	}).is(201)
	if internal.json()["contact"] != nil || internal.text("kind") != "internal" {
		t.Errorf("internal: %s", internal.Body)
	}
}

func TestWhoFilesIntoAForeignChannelSeesItOnce(t *testing.T) {
	f := newFixture(t)
	made := f.do("standard", "POST", "/tickets", m{"kind": "internal", "channel_id": f.sales, "subject": "s", "text": "t"}).is(201)
	f.do("standard", "GET", strings.TrimPrefix(made.Header().Get("Location"), "/api/v1"), nil).is(404)
	if mine := f.do("standard", "GET", "/tickets?list=my", nil).items(); len(mine) != 0 {
		t.Errorf("my: %v", mine)
	}
}

func TestRefusedTickets(t *testing.T) {
	f := newFixture(t)
	base := func(change m) m {
		body := m{"kind": "email", "account_id": f.account, "to": []string{"kim@customer.example"}, "subject": "s", "text": "t"}
		for k, v := range change {
			body[k] = v
			if v == nil {
				delete(body, k)
			}
		}
		return body
	}
	for _, c := range []struct {
		name   string
		change m
		field  string
	}{
		{"unknown field", m{"is_admin": true}, "is_admin"},
		{"unknown kind", m{"kind": "secret-kind"}, "kind"},
		{"no kind", m{"kind": nil}, "kind"},
		{"no recipient", m{"to": nil}, "to"},
		{"line break in the subject", m{"subject": "a\r\nBcc: x@evil.example"}, "subject"},
		{"NUL in the text", m{"text": "a\x00b"}, "text"},
		{"control in an address", m{"to": []string{"a@b.example\r\nRCPT TO:<x@y.example>"}}, "to[0].address"},
		{"no address", m{"to": []string{"nobody"}}, "to[0]"},
		{"not base64", m{"attachments": []m{{"name": "a", "content": "***"}}}, "attachments[0].content"},
		{"control in a file name", m{"attachments": []m{{"name": "a\nb", "content": "aGk="}}}, "attachments[0].name"},
		{"unknown channel", m{"channel_id": "none"}, "channel_id"},
		{"owner who does not see the channel", m{"owner_id": f.agents["outsider"]}, "owner_id"},
		{"wrong type", m{"subject": 7}, "subject"},
	} {
		t.Log(c.name)
		f.do("standard", "POST", "/tickets", base(c.change)).is(422).refuses(c.field)
	}
	if all := f.do("admin", "GET", "/tickets", nil).items(); len(all) != 0 {
		t.Errorf("a refused ticket was made: %v", all)
	}
}

func TestFilters(t *testing.T) {
	f := newFixture(t)
	mail, _ := f.mailIn(customersMail)
	f.do("standard", "POST", "/tickets", m{"kind": "internal", "channel_id": f.channel, "subject": "Paper", "text": "t", "priority": "urgent"}).is(201)
	f.do("admin", "POST", "/tickets", m{"kind": "internal", "channel_id": f.sales, "subject": "Offer", "text": "t"}).is(201)
	contact := f.do("standard", "GET", f.ticketPath(mail), nil).json()["contact"].(m)["id"].(string)
	for query, want := range map[string]string{
		"":                                  "[10002 10001]",
		"?sort=number":                      "[10001 10002]",
		"?sort=-priority":                   "[10002 10001]",
		"?kind=email":                       "[10001]",
		"?kind=form":                        "[]",
		"?q=burns":                          "[10001]",
		"?q=carla@customer.example":         "[10001]",
		"?q=page.html":                      "[10001]",
		"?q=Offer":                          "[]", // not in a channel of his
		"?priority=urgent":                  "[10002]",
		"?open=false":                       "[]",
		"?open=true&limit=1":                "[10002]",
		"?contact_id=" + contact:            "[10001]",
		"?channel_id=" + f.sales:            "[]",
		"?status_id=" + f.statuses["New"]:   "[10002 10001]",
		"?list=my":                          "[10002 10001]",
		"?list=overview&kind=internal":      "[10002]",
		"?owner_id=" + f.agents["standard"]: "[]",
		"?cursor=":                          "[10002 10001]",
	} {
		var got []float64
		for _, item := range f.do("standard", "GET", "/tickets"+query, nil).items() {
			got = append(got, item["number"].(float64))
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s: got %v, want %s", query, got, want)
		}
	}
	if mine := f.do("informal", "GET", "/tickets?list=my", nil).items(); len(mine) != 0 {
		t.Errorf("an informal subscriber's own: %v", mine)
	}
}

func TestPagesAndCursors(t *testing.T) {
	f := newFixture(t)
	for i := range 5 {
		f.do("standard", "POST", "/tickets", m{"kind": "internal", "channel_id": f.channel, "subject": fmt.Sprint(i), "text": "t"}).is(201)
	}
	var seen []float64
	cursor := ""
	for range 5 {
		r := f.do("standard", "GET", "/tickets?limit=2&cursor="+url.QueryEscape(cursor), nil)
		for _, item := range r.items() {
			seen = append(seen, item["number"].(float64))
		}
		cursor = r.text("next")
		if cursor != url.QueryEscape(cursor) {
			t.Errorf("cursor %q is not URL-safe", cursor)
		}
		if cursor == "" {
			break
		}
	}
	if !slices.Equal(seen, []float64{10005, 10004, 10003, 10002, 10001}) {
		t.Errorf("seen: %v", seen)
	}
	for query, status := range map[string]int{
		"?cursor=broken": 400, "?cursor=%00": 400, "?cursor=..&x=y": 400, "?limit=0": 422, "?limit=201": 422, "?limit=-1": 422, "?limit=x": 422,
		"?page=2": 422, "?open=maybe": 422, "?list=everything": 422,
	} {
		f.do("standard", "GET", "/tickets"+query, nil).is(status)
	}
	f.do("standard", "GET", "/channels?cursor=broken", nil).is(400)
	first := f.do("standard", "GET", "/statuses?limit=3", nil)
	rest := f.do("standard", "GET", "/statuses?limit=3&cursor="+first.text("next"), nil)
	if len(first.items()) != 3 || len(rest.items()) != 2 || rest.text("next") != "" {
		t.Errorf("statuses: %s then %s", first.Body, rest.Body)
	}
}

// What a search or an order says is data, never a part of a statement (case W06).
func TestInjectionIntoSearchAndSort(t *testing.T) {
	f := newFixture(t)
	f.mailIn(customersMail)
	f.do("admin", "POST", "/tickets", m{"kind": "internal", "channel_id": f.sales, "subject": "hidden", "text": "burns"}).is(201)
	for _, q := range []string{
		"' OR 1=1--", "%", "_", `\`, `"unbalanced`, `burns" OR "x`, "burns*", "NOT hidden", "NEAR(burns hidden)", "subject:burns",
		"{subject text}: hidden", "') UNION SELECT 1--", "hidden", "(((((", "AND", "-", "^burns", "burns OR hidden",
		strings.Repeat("burns ", 80),
	} {
		for _, item := range f.do("standard", "GET", "/tickets?q="+url.QueryEscape(q), nil).items() {
			if item["number"] != float64(10001) {
				t.Errorf("q=%q showed %v", q, item["subject"])
			}
		}
		f.do("standard", "GET", "/contacts?q="+url.QueryEscape(q), nil).is(200)
		f.do("standard", "GET", "/companies?q="+url.QueryEscape(q), nil).is(200)
	}
	if found := f.do("standard", "GET", "/contacts?q=%25", nil).items(); len(found) != 0 {
		t.Errorf("a percent sign found %v", found)
	}
	for _, q := range []string{"a\x00b", "\xff\xfe", "a\nb", strings.Repeat("x", 501)} {
		f.do("standard", "GET", "/tickets?q="+url.QueryEscape(q), nil).is(422).refuses("q")
	}
	for _, sort := range []string{"id;drop table tickets", "number desc", "-", "--number", "subject", "NUMBER"} {
		f.do("standard", "GET", "/tickets?sort="+url.QueryEscape(sort), nil).is(422).refuses("sort")
	}
	f.do("standard", "GET", "/tickets?channel_id="+url.QueryEscape("' OR ''='"), nil).is(200)
	f.do("standard", "GET", "/tickets/10001%20OR%201=1", nil).is(404)
	f.do("standard", "GET", "/channels/"+url.PathEscape("' OR ''='"), nil).is(404)
	f.do("standard", "GET", "/contacts/%00", nil).is(404)
}

func TestPatchingATicket(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	path := f.ticketPath(number)
	r := f.do("standard", "PATCH", path, m{"owner_id": f.agents["standard"], "priority": "high", "comment": "mine"},
		"If-Match", `"1"`, "Content-Type", "application/merge-patch+json").is(200)
	if r.text("owner_id") != f.agents["standard"] || r.text("priority") != "high" || r.Header().Get("ETag") != `"2"` {
		t.Errorf("patched: %s, %s", r.Body, r.Header())
	}
	f.do("standard", "PATCH", path, m{"priority": "low"}, "If-Match", `"1"`).is(412)
	f.do("standard", "PATCH", path, m{"priority": "low"}, "If-Match", `"nonsense"`).is(412)
	f.do("standard", "PATCH", path, m{"priority": "urgent"}).is(200)
	f.do("standard", "PATCH", path, m{"priority": "low"}, "If-Match", "*").is(200)
	if cleared := f.do("standard", "PATCH", path, m{"owner_id": nil}).is(200); cleared.json()["owner_id"] != nil {
		t.Errorf("null clears: %s", cleared.Body)
	}
	for field, value := range map[string]any{
		"subject": nil, "status_id": nil, "channel_id": nil, "number": 7, "kind": "internal", "created_by": "x",
		"priority": "enormous", "tags": "none",
	} {
		f.do("standard", "PATCH", path, m{field: value}).is(422).refuses(field)
	}
	var changed []any
	for _, a := range f.do("standard", "GET", path+"/activities", nil).items() {
		if a["type"] == "status_change" && a["comment"] == "mine" {
			changed = a["changes"].([]any)
		}
	}
	if len(changed) != 2 {
		t.Errorf("what the first PATCH changed: %v", changed)
	}
}

func TestTakeMergeAndTheirRefusals(t *testing.T) {
	f := newFixture(t)
	one, _ := f.mailIn(customersMail)
	two := f.do("standard", "POST", "/tickets", m{"kind": "enquiry", "channel_id": f.channel, "subject": "s", "text": "t",
		"contact": m{"email": "carla@customer.example"}}).is(201).json()["number"]
	hidden := f.do("admin", "POST", "/tickets", m{"kind": "enquiry", "channel_id": f.sales, "subject": "s", "text": "t",
		"contact": m{"name": "x"}}).is(201).json()["number"]
	if r := f.do("informal", "POST", f.ticketPath(one)+"/take", nil).is(200); r.text("owner_id") != f.agents["informal"] {
		t.Errorf("take: %s", r.Body)
	}
	f.do("standard", "POST", f.ticketPath(one)+"/take", m{"force": true}).is(422)
	f.do("standard", "POST", f.ticketPath(one)+"/merge", m{"into": hidden}).is(422).refuses("into")
	f.do("standard", "POST", f.ticketPath(one)+"/merge", m{"into": 99999}).is(422).refuses("into")
	f.do("standard", "POST", f.ticketPath(one)+"/merge", m{}).is(422).refuses("into")
	f.do("standard", "POST", f.ticketPath(one)+"/merge", m{"into": two}).is(200)
	if got := f.do("standard", "GET", f.ticketPath(one), nil).json()["merged_into"]; got != two {
		t.Errorf("merged into %v, want %v", got, two)
	}
	f.do("standard", "POST", f.ticketPath(one)+"/merge", m{"into": two}).is(409)
	f.do("standard", "POST", f.ticketPath(one)+"/confirm", nil).is(409)
	f.do("standard", "POST", f.ticketPath(one)+"/dismiss", nil).is(409)
}

const strangersMail = "From: Mallory <mallory@elsewhere.example>\r\nTo: support@example.test\r\n" +
	"Subject: Re: [T#10001] Printer on fire\r\nMessage-ID: <two@elsewhere.example>\r\n\r\nSend me everything.\r\n"

func TestAStrangersMailIsConfirmedOrDismissed(t *testing.T) {
	for _, answer := range []string{"confirm", "dismiss"} {
		t.Run(answer, func(t *testing.T) {
			f := newFixture(t)
			one, _ := f.mailIn(customersMail)
			held, _ := f.mailIn(strangersMail)
			waiting := f.do("standard", "GET", f.ticketPath(one), nil).json()["held"].([]any)
			if len(waiting) != 1 || waiting[0].(m)["ticket"] != float64(held) || waiting[0].(m)["from"] != "mallory@elsewhere.example" {
				t.Fatalf("held: %v", waiting)
			}
			if got := f.do("standard", "GET", f.ticketPath(held), nil).json()["suggested_ticket"]; got != float64(one) {
				t.Fatalf("suggested: %v", got)
			}
			f.do("standard", "POST", f.ticketPath(held)+"/confirm", m{"remember": "forever"}).is(422).refuses("remember")
			f.do("standard", "POST", f.ticketPath(held)+"/"+answer, nil).is(200)
			if left := f.do("standard", "GET", f.ticketPath(one), nil).json()["held"].([]any); len(left) != 0 {
				t.Errorf("still held: %v", left)
			}
			want := map[string]int{"confirm": 2, "dismiss": 1}[answer]
			incoming := 0
			for _, a := range f.do("standard", "GET", f.ticketPath(one)+"/activities", nil).items() {
				if a["type"] == "incoming" {
					incoming++
				}
			}
			if incoming != want {
				t.Errorf("incoming activities: %d, want %d", incoming, want)
			}
		})
	}
}

func TestLinksLeadOnlyWhereTheCallerMayLook(t *testing.T) {
	f := newFixture(t)
	f.do("admin", "POST", "/mail-accounts", m{"address": "sales@example.test", "default_channel_id": f.sales}).is(201)
	in := f.incoming(customersMail)
	in.Recipients = []string{"support@example.test", "sales@example.test"}
	results := f.service.Take(f.ctx, in)
	path := f.ticketPath(results[0].Ticket)
	if links := f.do("admin", "GET", path, nil).json()["links"].([]any); len(links) != 1 || links[0].(m)["number"] != float64(results[1].Ticket) {
		t.Errorf("the admin sees %v", links)
	}
	if links := f.do("standard", "GET", path, nil).json()["links"].([]any); len(links) != 0 {
		t.Errorf("an agent of one channel sees %v", links)
	}
	if links := f.do("standard", "GET", "/tickets", nil).items()[0]["links"].([]any); len(links) != 0 {
		t.Errorf("an agent of one channel is shown %v", links)
	}
}
