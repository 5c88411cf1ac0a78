package api_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestTimes(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	path := f.ticketPath(number)
	made := f.do("standard", "POST", path+"/times", m{"minutes": 30, "comment": "looked"}).is(201)
	if v := made.json(); v["date"] != "2026-11-22" || v["agent_id"] != f.agents["standard"] || v["minutes"] != 30.0 {
		t.Errorf("%v", v)
	}
	f.do("standard", "POST", path+"/times", m{"minutes": 15, "date": "2026-11-20", "agent_id": f.agents["informal"]}).is(201)
	f.do("standard", "POST", path+"/activities", m{"type": "note", "text": "x", "minutes": 5}).is(201)
	if got := f.do("standard", "GET", path, nil).json()["counts"].(m)["minutes"]; got != 50.0 {
		t.Errorf("the ticket counts %v minutes", got)
	}
	if got := f.do("standard", "GET", "/tickets", nil).items()[0]["counts"].(m)["minutes"]; got != 50.0 {
		t.Errorf("in the list it counts %v minutes", got)
	}
	id := made.text("id")
	f.do("standard", "PATCH", path+"/times/"+id, m{"minutes": 45, "date": "2026-11-21"}).is(200)
	f.do("informal", "PATCH", path+"/times/"+id, m{"minutes": 1}).is(403)
	f.do("informal", "DELETE", path+"/times/"+id, nil).is(403)
	items := f.do("informal", "GET", path+"/times", nil).items()
	if len(items) != 3 || items[2]["minutes"] != 45.0 || items[2]["date"] != "2026-11-21" || items[2]["comment"] != "looked" {
		t.Errorf("%v", items)
	}
	for field, body := range map[string]m{
		"minutes": {"minutes": 0}, "date": {"minutes": 1, "date": "2026-02-30"}, "agent_id": {"minutes": 1, "agent_id": f.agents["outsider"]},
	} {
		f.do("standard", "POST", path+"/times", body).is(422).refuses(field)
	}
	company := f.do("standard", "POST", "/companies", m{"name": "Customer", "domains": []string{"customer.example"}}).is(201).text("id")
	other, _ := f.mailIn(strings.NewReplacer("<one@", "<two@", "carla@", "sam@", "Carla", "Sam").Replace(customersMail))
	f.do("standard", "POST", f.ticketPath(other)+"/times", m{"minutes": 7}).is(201)
	f.do("standard", "POST", f.ticketPath(other)+"/times", m{"minutes": 3, "date": "2026-11-01"}).is(201)
	for who, want := range map[string]float64{"standard": 10, "admin": 10, "outsider": 0} {
		if got := f.do(who, "GET", "/companies/"+company+"/times", nil).is(200).json()["minutes"]; got != want {
			t.Errorf("%s sees %v minutes, want %v", who, got, want)
		}
	}
	if got := f.do("standard", "GET", "/companies/"+company+"/times?since=2026-11-02", nil).json()["minutes"]; got != 7.0 {
		t.Errorf("since then it is %v minutes", got)
	}
	f.do("standard", "POST", path+"/merge", m{"into": other}).is(200)
	if got := f.do("standard", "GET", f.ticketPath(other), nil).json()["counts"].(m)["minutes"]; got != 75.0 {
		t.Errorf("after a merge it is %v minutes", got)
	}
	f.do("admin", "DELETE", f.ticketPath(other)+"/times/"+id, nil).is(204)
}

// What is hidden is a stub for all but admins, on every path that leads to it.
func TestHide(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	path := f.ticketPath(number) + "/activities"
	wrong := f.do("standard", "POST", path, m{"type": "note", "text": "XYZZY secret", "show_in_external_access": true,
		"attachments": []m{{"name": "wrong.txt", "content": b64("XYZZY")}}}).is(201)
	id := wrong.text("id")
	at := path + "/" + id
	file := wrong.json()["attachments"].([]any)[0].(m)["id"].(string)
	if stub := f.do("informal", "POST", at+"/hide", nil).is(200).json(); stub["text"] != "" || stub["hidden"].(m)["by"] != f.agents["informal"] {
		t.Errorf("the stub is %v", stub)
	}
	f.do("standard", "POST", at+"/hide", nil).is(200) // stays hidden
	for _, who := range []string{"standard", "informal"} {
		for _, read := range []string{at, path, f.ticketPath(number) + "/files", "/tickets?q=xyzzy"} {
			if body := f.do(who, "GET", read, nil).is(200).Body.String(); strings.Contains(body, "XYZZY") || strings.Contains(body, "wrong.txt") {
				t.Errorf("%s reads it at %s", who, read)
			}
		}
		f.do(who, "GET", at+"/raw", nil).is(404)
		f.do(who, "GET", at+"/attachments/"+file, nil).is(404)
	}
	if v := f.do("admin", "GET", at, nil).is(200).json(); v["text"] != "XYZZY secret" || len(v["attachments"].([]any)) != 1 || v["show_in_external_access"] != false {
		t.Errorf("the admin reads %v", v)
	}
	f.do("admin", "GET", at+"/attachments/"+file, nil).is(200)
	for _, who := range []string{"standard", "admin"} { // nor is it shown outside by mistake
		f.do(who, "PATCH", at, m{"show_in_external_access": true}).is(409)
	}
	if n := len(f.do("admin", "GET", "/tickets?q=xyzzy", nil).items()); n != 0 {
		t.Error("search still finds it")
	}
	f.do("standard", "PATCH", f.ticketPath(number), m{"priority": "high"}).is(200)
	list := f.do("standard", "GET", path, nil).items()
	f.do("standard", "POST", path+"/"+list[len(list)-1]["id"].(string)+"/hide", nil).is(409) // a change holds nothing
}

func TestTicketFiles(t *testing.T) {
	f := newFixture(t)
	number, mail := f.mailIn(customersMail)
	path := f.ticketPath(number) + "/files"
	added := f.do("standard", "POST", path, m{"name": "plan.txt", "content": b64("plan")}).is(201)
	if loc := strings.TrimPrefix(added.Header().Get("Location"), "/api/v1"); f.do("standard", "GET", loc, nil).is(200).Body.String() != "plan" {
		t.Errorf("%s is another file", loc)
	}
	items := f.do("standard", "GET", path, nil).items()
	if len(items) != 3 || items[0]["name"] != "plan.txt" || items[2]["activity_id"] != mail {
		t.Errorf("%v", items)
	}
	first := f.do("standard", "GET", path+"?limit=2", nil).is(200).json()
	rest := f.do("standard", "GET", path+"?limit=2&cursor="+fmt.Sprint(first["next"]), nil).items()
	if len(first["items"].([]any)) != 2 || len(rest) != 1 || rest[0]["id"] != items[2]["id"] {
		t.Errorf("by pages: %v %v", first, rest)
	}
	id := items[1]["id"].(string)
	f.do("informal", "DELETE", path+"/"+id, nil).is(204)
	f.do("informal", "DELETE", path+"/"+id, nil).is(404)
	f.do("standard", "GET", f.ticketPath(number)+"/activities/"+mail+"/attachments/"+id, nil).is(404)
	f.do("admin", "GET", f.ticketPath(number)+"/activities/"+mail+"/attachments/"+id, nil).is(200)
	f.do("standard", "GET", f.ticketPath(number)+"/activities/"+mail+"/raw", nil).is(404) // the message holds the file
	f.do("admin", "GET", f.ticketPath(number)+"/activities/"+mail+"/raw", nil).is(200)
	if n := len(f.do("standard", "GET", path, nil).items()); n != 2 {
		t.Errorf("%d files are shown, want 2", n)
	}
	if v := f.do("standard", "GET", f.ticketPath(number)+"/activities/"+mail, nil).json(); len(v["attachments"].([]any)) != 1 {
		t.Errorf("the mail shows %v", v["attachments"])
	}
}

func TestLinks(t *testing.T) {
	f := newFixture(t)
	first, _ := f.mailIn(customersMail)
	second, _ := f.mailIn(strings.Replace(customersMail, "<one@", "<two@", 1))
	path := f.ticketPath(first) + "/links"
	link := m{"number": second, "kind": "parent"}
	f.do("standard", "POST", path, link).is(201)
	f.do("standard", "POST", path, link).is(201) // as if it were the first
	if links := f.do("standard", "GET", f.ticketPath(second), nil).json()["links"].([]any); len(links) != 1 || links[0].(m)["kind"] != "child" {
		t.Errorf("the other one has %v", links)
	}
	list := f.do("standard", "GET", f.ticketPath(first)+"/activities", nil).items()
	if len(list) != 2 || list[1]["changes"].([]any)[0].(m)["to"] != "parent T#10002" {
		t.Errorf("the history is %v", list)
	}
	other := f.do("standard", "GET", f.ticketPath(second)+"/activities", nil).items()
	if len(other) != 2 || other[1]["changes"].([]any)[0].(m)["to"] != "child T#10001" {
		t.Errorf("the history of the other one is %v", other)
	}
	f.do("standard", "POST", path, m{"number": second, "kind": "merged"}).is(422).refuses("kind")
	f.do("standard", "POST", path, m{"number": 99999, "kind": "related"}).is(422).refuses("number")
	f.do("standard", "POST", path, m{"number": first, "kind": "related"}).is(422).refuses("number")
	hidden := f.do("admin", "POST", "/tickets", m{"kind": "internal", "channel_id": f.sales, "subject": "x", "text": "x"}).is(201).json()["number"]
	f.do("standard", "POST", path, m{"number": hidden, "kind": "related"}).is(422).refuses("number")
	f.do("standard", "DELETE", path+"/"+fmt.Sprint(second)+"?kind=parent", nil).is(204)
	f.do("standard", "DELETE", path+"/"+fmt.Sprint(second)+"?kind=parent", nil).is(404)
	if links := f.do("standard", "GET", f.ticketPath(second), nil).json()["links"].([]any); len(links) != 0 {
		t.Errorf("the other one still has %v", links)
	}
}
