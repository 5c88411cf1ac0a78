package api_test

import "testing"

// W22: pages are bounded, and a cursor belongs to its list.
func TestContactLists(t *testing.T) {
	f := newFixture(t)
	firm := f.do("standard", "POST", "/companies", m{"name": "Fischer AG", "domains": []string{"fischer.example"}}).is(201).text("id")
	ida := f.do("standard", "POST", "/contacts", m{
		"name": "Ida Ilg", "emails": []string{"ida@home.example", "ida.ilg@work.example"},
		"phones": []string{"+49 30 1234567", "0171 555 66 77"}, "company_id": firm,
	}).is(201)
	if got := ida.json()["emails"].([]any); got[0] != "ida@home.example" || got[1] != "ida.ilg@work.example" {
		t.Errorf("the addresses lost their order: %v", got)
	}
	f.do("standard", "POST", "/contacts", m{"name": "Other", "emails": []string{"IDA@home.example"}}).is(409)
	f.do("standard", "POST", "/contacts", m{"name": "Jo Jung"}).is(201)
	for query, want := range map[string]int{
		"q=ilg": 1, "q=IDA.ILG@work": 1, "q=1234567": 1, "q=%2B49%20171": 0, "q=fischer": 1, "q=j": 1,
		"phone=0049%20(30)%20123-4567": 1, "phone=030/1234567": 1, "phone=%2B491715556677": 1, "phone=%2B43301234567": 0,
		"company_id=" + firm: 1, "provisional=false": 2, "provisional=true": 0, "undeliverable=true": 0,
		"phone=0301234567&q=jung": 0,
	} {
		if got := len(f.do("standard", "GET", "/contacts?"+query, nil).items()); got != want {
			t.Errorf("%s finds %d, want %d", query, got, want)
		}
	}
	f.do("standard", "GET", "/contacts?undeliverable=perhaps", nil).is(422).refuses("undeliverable")
	for query, want := range map[string]int{"limit=-1": 422, "limit=0": 422, "limit=1000000000": 422, "cursor=nonsense": 400, "offset=1": 422} {
		f.do("standard", "GET", "/contacts?"+query, nil).is(want)
		f.do("standard", "GET", "/companies?"+query, nil).is(want)
	}
	next := f.do("standard", "GET", "/contacts?limit=1", nil).is(200).text("next")
	f.do("standard", "GET", "/contacts?cursor="+next, nil).is(200)
	f.do("standard", "GET", "/companies?cursor="+next, nil).is(400) // a cursor of another list
}

func TestCompaniesHaveParents(t *testing.T) {
	f := newFixture(t)
	company := func(name string, parent any) string {
		return f.do("standard", "POST", "/companies", m{"name": name, "parent_id": parent}).is(201).text("id")
	}
	group := company("Group", nil)
	firm := company("Firm", group)
	branch := company("Branch", firm)
	f.do("standard", "PATCH", "/companies/"+group, m{"parent_id": branch}).is(422).refuses("parent_id")
	f.do("standard", "PATCH", "/companies/"+group, m{"parent_id": group}).is(422).refuses("parent_id")
	f.do("standard", "PATCH", "/companies/"+group, m{"parent_id": "nobody"}).is(422).refuses("parent_id")
	children := f.do("standard", "GET", "/companies?parent_id="+group, nil).items()
	if len(children) != 1 || children[0]["id"] != firm {
		t.Errorf("the children are %v", children)
	}
	if found := f.do("standard", "GET", "/companies?q=bran", nil).items(); len(found) != 1 {
		t.Errorf("found are %v", found)
	}
	f.do("admin", "DELETE", "/companies/"+firm, nil).is(409)
	f.do("standard", "PATCH", "/companies/"+branch, m{"parent_id": nil}).is(200)
	f.do("admin", "DELETE", "/companies/"+firm, nil).is(204)
}

func TestUndeliverableIsCleared(t *testing.T) {
	f := newFixture(t)
	id := f.do("standard", "POST", "/contacts", m{"name": "x", "emails": []string{"x@y.example"}, "undeliverable": true}).is(201).text("id")
	if len(f.do("standard", "GET", "/contacts?undeliverable=true", nil).items()) != 1 {
		t.Error("an address that bounced is not found")
	}
	f.do("standard", "PATCH", "/contacts/"+id, m{"undeliverable": false}).is(200)
	if f.do("standard", "GET", "/contacts/"+id, nil).is(200).json()["undeliverable"] != false {
		t.Error("it still counts as undeliverable")
	}
}

// A caller is found by his number, in whatever spelling.
func TestEnquiryFindsTheCaller(t *testing.T) {
	f := newFixture(t)
	id := f.do("standard", "POST", "/contacts", m{"name": "Ida", "phones": []string{"+49 30 1234567"}}).is(201).text("id")
	call := func(contact m) string {
		t.Helper()
		r := f.do("standard", "POST", "/tickets", m{"kind": "enquiry", "channel_id": f.channel, "subject": "s", "text": "t", "contact": contact}).is(201)
		return r.json()["contact"].(m)["id"].(string)
	}
	if call(m{"phone": "030 1234567"}) != id || call(m{"phone": "0049301234567", "name": "ida"}) != id {
		t.Error("the caller is not the contact with that number")
	}
	if call(m{"phone": "030 1234567", "name": "Her colleague"}) == id {
		t.Error("a person by another name is not the contact")
	}
}

func TestImportOverTheAPI(t *testing.T) {
	f := newFixture(t)
	csv := []string{"Content-Type", "text/csv; charset=utf-8"}
	rows := "name,email\nIda,ida@x.example\nBad,nonsense\n"
	dry := f.do("admin", "POST", "/contacts/import?dry_run=true", rows, csv...).is(200)
	if dry.json()["added"] != 1.0 || len(f.do("admin", "GET", "/contacts", nil).items()) != 0 {
		t.Errorf("a dry run: %s", dry.Body)
	}
	first := f.do("admin", "POST", "/contacts/import", rows, csv...).is(200).json()
	refusal := first["refused"].([]any)[0].(m)
	if first["added"] != 1.0 || refusal["line"] != 3.0 || refusal["reason"] == "" {
		t.Errorf("the first time: %v", first)
	}
	card := "BEGIN:VCARD\r\nFN:Ida\r\nEMAIL:ida@x.example\r\nTEL:1\r\nEND:VCARD\r\n"
	if got := f.do("admin", "POST", "/contacts/import", card, "Content-Type", "text/vcard").is(200).json(); got["changed"] != 1.0 || got["unchanged"] != 0.0 {
		t.Errorf("a card: %v", got)
	}
	f.do("admin", "POST", "/contacts/import", "a,b\n", csv...).is(422).refuses("file")
	f.do("admin", "POST", "/contacts/import", card, "Content-Type", "application/json").is(415)
	f.do("standard", "POST", "/contacts/import", rows, csv...).is(403)
}
