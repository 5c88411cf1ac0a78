package api_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"ticketgate/gateway/crm"
	"ticketgate/threading"
)

const crmCarla = `{"id":"E-1","name":"Carla Customer","emails":["carla@customer.example"],"phone":"1","company":{"id":"F-1","name":"Customer Ltd","domains":["customer.example"]}}`

// withCRM gives the desk a CRM over HTTP, which can be switched off.
func (f *fixture) withCRM() *atomic.Bool {
	f.t.Helper()
	down := new(atomic.Bool)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case down.Load():
			w.WriteHeader(http.StatusBadGateway)
		case q.Get("q") == "carla":
			_, _ = io.WriteString(w, `{"items":[`+crmCarla+`,{"id":"E-2","name":"","emails":[]}]}`)
		case q.Get("id") == "E-1" || q.Get("email") == "carla@customer.example":
			_, _ = io.WriteString(w, crmCarla)
		default:
			http.NotFound(w, r)
		}
	}))
	f.t.Cleanup(server.Close)
	client, err := crm.New(crm.Options{URL: server.URL, Now: f.clock})
	f.must(err)
	f.t.Cleanup(client.Close)
	f.service, err = threading.New(threading.Options{
		DB: f.db, Secrets: []string{"a secret for tests"}, Hostname: "desk.example.test",
		PublicURL: "http://desk.example.test", Now: f.clock, Directory: client,
	})
	f.must(err)
	f.serve(nil)
	return down
}

// A search shows whom only the CRM has; an enquiry takes that person by the id
// there, and from then on he is a contact.
func TestContactsOfTheCRM(t *testing.T) {
	f := newFixture(t)
	down := f.withCRM()
	desk := f.do("standard", "POST", "/contacts", m{"name": "Carla of the desk"}).is(201)
	if desk.text("source") != "desk" {
		t.Errorf("%s", desk.Body)
	}
	found := f.do("standard", "GET", "/contacts?q=carla", nil).items()
	if len(found) != 3 || found[0]["source"] != "desk" || found[1]["source"] != "crm" || found[1]["id"] != "" ||
		found[1]["external_id"] != "E-1" || found[1]["name"] != "Carla Customer" || found[2]["name"] != "E-2" {
		t.Fatalf("%v", found)
	}
	for _, query := range []string{"q=carla&limit=1", "q=carla&external_id=E-1", "q=carla&company_id=x", "external_id=E-1"} {
		for _, c := range f.do("standard", "GET", "/contacts?"+query, nil).items() {
			if c["source"] == "crm" {
				t.Errorf("%s shows %v", query, c)
			}
		}
	}
	enquiry := f.do("standard", "POST", "/tickets", m{"kind": "enquiry", "channel_id": f.channel, "subject": "call", "contact": m{"external_id": "E-1"}}).is(201).json()
	contact, company := enquiry["contact"].(m), enquiry["company"].(m)
	if contact["name"] != "Carla Customer" || contact["email"] != "carla@customer.example" || company["name"] != "Customer Ltd" {
		t.Errorf("%v %v", contact, company)
	}
	got := f.do("standard", "GET", "/contacts/"+contact["id"].(string), nil).is(200)
	if got.text("source") != "crm" || got.text("external_id") != "E-1" || got.json()["provisional"] != false {
		t.Errorf("%s", got.Body)
	}
	if found := f.do("standard", "GET", "/contacts?q=carla", nil).items(); len(found) != 3 || found[0]["id"] != contact["id"] {
		t.Errorf("%v", found)
	}
	f.do("standard", "POST", "/tickets", m{"kind": "enquiry", "channel_id": f.channel, "subject": "call", "contact": m{"external_id": "E-9"}}).is(422).refuses("contact")
	down.Store(true)
	if found := f.do("standard", "GET", "/contacts?q=desk", nil).items(); len(found) != 1 {
		t.Errorf("a CRM that fails takes the list along: %v", found)
	}
}

func TestMergeContacts(t *testing.T) {
	f := newFixture(t)
	number, activity := f.mailIn(customersMail)
	from := f.do("standard", "GET", f.ticketPath(number), nil).json()["contact"].(m)["id"].(string)
	into := f.do("standard", "POST", "/contacts", m{"name": "Carla", "emails": []string{"cc@customer.example"}, "external_id": "E-1"}).is(201).text("id")
	merge := "/contacts/" + from + "/merge"
	f.do("standard", "POST", merge, m{}).is(422).refuses("into")
	f.do("standard", "POST", merge, m{"into": from}).is(422).refuses("into")
	f.do("standard", "POST", merge, m{"into": "01a20526-0000-7000-8000-000000000000"}).is(422).refuses("into")
	f.do("standard", "POST", "/contacts/01a20526-0000-7000-8000-000000000000/merge", m{"into": into}).is(404)
	if r := f.do("outsider", "POST", merge, m{"into": into}).is(200); r.text("id") != into || len(r.json()["emails"].([]any)) != 2 {
		t.Errorf("%s", r.Body)
	}
	f.do("standard", "POST", merge, m{"into": into}).is(200)
	for _, id := range []string{from, into} {
		if got := f.do("standard", "GET", "/contacts/"+id, nil).is(200).text("id"); got != into {
			t.Errorf("%s leads to %s", id, got)
		}
		if list := f.do("standard", "GET", "/tickets?contact_id="+id, nil).items(); len(list) != 1 {
			t.Errorf("tickets of %s: %v", id, list)
		}
	}
	if list := f.do("standard", "GET", "/contacts", nil).items(); len(list) != 1 || list[0]["id"] != into {
		t.Errorf("%v", list)
	}
	author := f.do("standard", "GET", f.ticketPath(number)+"/activities/"+activity, nil).is(200).json()["author"].(m)
	if author["id"] != from || !strings.EqualFold(author["address"].(string), "carla@customer.example") {
		t.Errorf("%v", author)
	}
	f.do("admin", "DELETE", "/contacts/"+from, nil).is(404)
	f.do("standard", "PATCH", "/contacts/"+from, m{"name": "Carla Merged"}).is(200)
	if got := f.do("standard", "GET", "/contacts/"+into, nil).text("name"); got != "Carla Merged" {
		t.Errorf("name %s", got)
	}
}
