package api_test

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
)

func TestErase(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	f.do("admin", "POST", f.ticketPath(number)+"/activities", m{"type": "outgoing", "text": "Dear Carla, soon."}, "Idempotency-Key", "k").is(201)
	id := f.do("admin", "GET", "/contacts?q=carla", nil).items()[0]["id"].(string)
	f.do("standard", "DELETE", "/contacts/"+id+"?erase=true", nil).is(403)
	f.do("admin", "DELETE", "/contacts/"+id, nil).is(409) // a ticket names it
	f.do("admin", "DELETE", "/contacts/"+id+"?erase=perhaps", nil).is(422)
	f.do("admin", "DELETE", "/contacts/"+id+"?erase=true", nil).is(204)
	f.do("admin", "DELETE", "/contacts/"+id+"?erase=true", nil).is(404)
	f.do("admin", "GET", "/contacts/"+id, nil).is(404)
	f.do("admin", "GET", "/contacts/"+id+"/export", nil).is(404)

	proof := f.do("admin", "GET", "/erasures", nil).items()
	removed := proof[0]["removed"].(m)
	if len(proof) != 1 || proof[0]["ended_at"] == nil || proof[0]["agent_id"] != f.agents["admin"] || removed["activities"] != 1.0 || len(removed["hashes"].([]any)) < 3 {
		t.Errorf("the proof is %v", proof)
	}
	ticket := f.do("admin", "GET", f.ticketPath(number), nil).is(200).json()
	if ticket["contact"] != nil || ticket["subject"] != "[erased]" {
		t.Errorf("the skeleton is %v", ticket)
	}
	for _, query := range []string{"printer", "burns", "carla", "carla@customer.example"} {
		if found := f.do("admin", "GET", "/tickets?q="+query, nil).items(); len(found) > 0 {
			t.Errorf("search finds %q still", query)
		}
	}
	if found := f.do("admin", "GET", "/tickets?q=soon", nil).items(); len(found) != 1 {
		t.Error("search does not find what the agent wrote")
	}
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(f.file + suffix)
		if err != nil {
			t.Fatal(err)
		}
		for _, trace := range []string{"carla@", "Carla", "Printer on fire", "It burns"} {
			if bytes.Contains(data, []byte(trace)) {
				t.Errorf("%s%s holds %q", f.file, suffix, trace)
			}
		}
	}
	answers := f.do("admin", "GET", f.ticketPath(number)+"/activities", nil).items()
	f.do("admin", "POST", f.ticketPath(number)+"/activities", m{"type": "outgoing", "text": "x"}).is(422) // there is nobody to write to
	if len(answers) < 2 {
		t.Errorf("the history is %v", answers)
	}
}

func TestExport(t *testing.T) {
	f := newFixture(t)
	number, activity := f.mailIn(customersMail)
	f.do("admin", "POST", f.ticketPath(number)+"/activities", m{"type": "outgoing", "text": "Dear Carla, soon."}).is(201)
	id := f.do("admin", "GET", "/contacts?q=carla", nil).items()[0]["id"].(string)
	f.do("standard", "GET", "/contacts/"+id+"/export", nil).is(403)
	r := f.do("admin", "GET", "/contacts/"+id+"/export", nil).is(200)
	archive, err := zip.NewReader(bytes.NewReader(r.Body.Bytes()), int64(r.Body.Len()))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	attachments := 0
	for _, entry := range archive.File {
		in, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files[entry.Name] = string(data)
		if strings.HasSuffix(entry.Name, ".bin") {
			attachments++
		}
	}
	for name, part := range map[string]string{
		"contact.json":                       `"carla@customer.example"`,
		"tickets/10001.json":                 `"recipient": "carla@customer.example"`,
		"tickets/10001/" + activity + ".eml": "Message-ID: <one@customer.example>",
	} {
		if !strings.Contains(files[name], part) {
			t.Errorf("%s lacks %s: %s", name, part, files[name])
		}
	}
	if attachments != 2 || !strings.Contains(files["tickets/10001.json"], "Dear Carla, soon.") {
		t.Errorf("%d files; the ticket is %s", attachments, files["tickets/10001.json"])
	}
	if got := r.Header().Get("Content-Type"); got != "application/zip" {
		t.Errorf("the type is %q", got)
	}
}
