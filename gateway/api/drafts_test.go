package api_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"
)

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func TestTicketDraft(t *testing.T) {
	f := newFixture(t)
	file := f.upload("standard", "a.txt", "first").is(201).text("file_id")
	made := f.do("standard", "POST", "/tickets", m{
		"kind": "email", "draft": true, "account_id": f.account, "to": []string{"Carla <carla@customer.example>"}, "cc": []string{"c@x.example"},
		"subject": "Later", "html": "<p>Hello</p>", "priority": "high", "owner_id": f.agents["standard"], "tags": []string{"a"},
		"attachments": []m{{"file_id": file}, {"name": "b.txt", "content": b64("second")}},
	}).is(201)
	id := made.text("id")
	path := "/drafts/" + id
	if got := made.Header().Get("Location"); got != "/api/v1"+path {
		t.Errorf("Location %q", got)
	}
	if v := made.json(); v["number"] != nil || v["draft"] != true || v["subject"] != "Later" || v["priority"] != "high" {
		t.Errorf("the draft is %v", v)
	}
	if len(f.deliveries()) != 0 || len(f.do("admin", "GET", "/tickets", nil).items()) != 0 {
		t.Error("a draft is a ticket already, or went out")
	}
	// It keeps all of it, and null clears.
	content := f.do("standard", "PATCH", path, m{"subject": "Now", "cc": nil, "text": "x"}).is(200).json()["content"].(m)
	if content["subject"] != "Now" || content["cc"] != nil || content["html"] != "<p>Hello</p>" || len(content["attachments"].([]any)) != 2 {
		t.Errorf("the content is %v", content)
	}
	for _, who := range []string{"admin", "informal", "outsider"} {
		f.do(who, "GET", path, nil).is(404)
		f.do(who, "POST", path+"/send", nil).is(404)
		if len(f.do(who, "GET", "/tickets?list=drafts", nil).items()) != 0 {
			t.Errorf("%s sees another's draft", who)
		}
	}
	if items := f.do("standard", "GET", "/tickets?list=drafts", nil).items(); len(items) != 1 || items[0]["id"] != id {
		t.Errorf("the drafts are %v", items)
	}
	if first := content["attachments"].([]any)[0].(m); first["name"] != "a.txt" || first["type"] != "text/plain" {
		t.Errorf("the first file is %v", first)
	}
	sent := f.do("standard", "POST", path+"/send", nil).is(200).json()
	if n := sent["counts"].(m)["files"]; n != 2.0 {
		t.Errorf("the ticket counts %v files", n)
	}
	if sent["id"] != id || sent["number"] == nil || sent["subject"] != "Now" || sent["owner_id"] != f.agents["standard"] {
		t.Errorf("the ticket is %v", sent)
	}
	activity := f.do("standard", "GET", f.ticketPath(int64(sent["number"].(float64)))+"/activities", nil).items()[0]
	files := activity["attachments"].([]any)
	if len(files) != 2 || files[0].(m)["name"] != "a.txt" || files[1].(m)["name"] != "b.txt" {
		t.Errorf("the files are %v", files)
	}
	if len(f.deliveries()) != 1 {
		t.Errorf("%d deliveries, want that to Carla", len(f.deliveries()))
	}
	f.do("standard", "POST", path+"/send", nil).is(404) // once
	f.do("standard", "GET", path, nil).is(404)
}

// deliveries lists what goes to customers.
func (f *fixture) deliveries() []m {
	var all []m
	for _, d := range f.do("admin", "GET", "/deliveries", nil).items() {
		if d["kind"] == "answer" {
			all = append(all, d)
		}
	}
	return all
}

// What a draft lacks is said when it is sent, and it stays.
func TestDraftThatCantBeSentStays(t *testing.T) {
	f := newFixture(t)
	id := f.do("standard", "POST", "/tickets", m{"kind": "email", "draft": true, "subject": "x"}).is(201).text("id")
	f.do("standard", "POST", "/drafts/"+id+"/send", nil).is(422).refuses("to")
	f.do("standard", "PATCH", "/drafts/"+id, m{"to": []string{"a@b.example"}, "nonsense": 1}).is(422)
	f.do("standard", "PATCH", "/drafts/"+id, m{"subject": "a\nb"}).is(422).refuses("subject")
	f.do("standard", "PATCH", "/drafts/"+id, m{"to": []string{"a@b.example"}, "text": "hi", "draft": false}).is(200)
	f.do("standard", "GET", "/drafts/"+id, nil).is(404)
}

func TestActivityDraft(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	path := f.ticketPath(number) + "/activities"
	made := f.do("standard", "POST", path, m{"type": "outgoing", "text": "Soon", "draft": true,
		"attachments": []m{{"name": "b.txt", "content": b64("second")}}}).is(201)
	id := made.text("id")
	if v := made.json(); v["draft"] != true || v["type"] != "outgoing" || v["text"] != "Soon" || len(v["attachments"].([]any)) != 1 {
		t.Errorf("the draft is %v", v)
	}
	if n := len(f.do("admin", "GET", path, nil).items()); n != 1 {
		t.Errorf("others see %d activities, want the mail", n)
	}
	mine := f.do("standard", "GET", path, nil).items()
	if len(mine) != 2 || mine[1]["id"] != id {
		t.Errorf("the author sees %v", mine)
	}
	for _, who := range []string{"admin", "informal", "outsider"} {
		f.do(who, "GET", path+"/"+id, nil).is(404)
		f.do(who, "PATCH", path+"/"+id, m{"draft": false}).is(404)
		f.do(who, "DELETE", path+"/"+id, nil).is(404)
	}
	if items := f.do("standard", "GET", "/tickets?list=drafts", nil).items(); len(items) != 1 || items[0]["number"] != float64(number) {
		t.Errorf("the drafts are %v", items)
	}
	f.do("standard", "PATCH", path+"/"+id, m{"text": "Better", "status_id": f.statuses["In progress"]}).is(200)
	sent := f.do("standard", "PATCH", path+"/"+id, m{"draft": false}).is(200).json()
	if sent["id"] != id || sent["text"] != "Better" || sent["draft"] != false || sent["delivery"] != "queued" {
		t.Errorf("the answer is %v", sent)
	}
	if got := f.do("standard", "GET", f.ticketPath(number), nil).json()["status_id"]; got != f.statuses["In progress"] {
		t.Errorf("the status is %v", got)
	}
	f.do("standard", "DELETE", path+"/"+id, nil).is(409) // it was said
	f.do("standard", "PATCH", path+"/"+id, m{"text": "Other"}).is(422).refuses("text")
	second := f.do("standard", "POST", path, m{"type": "note", "text": "x", "draft": true}).is(201).text("id")
	f.do("standard", "DELETE", path+"/"+second, nil).is(204)
	f.do("standard", "GET", path+"/"+second, nil).is(404)
}

// A draft goes along when its ticket goes into another.
func TestDraftFollowsAMerge(t *testing.T) {
	f := newFixture(t)
	first, _ := f.mailIn(customersMail)
	second, _ := f.mailIn(strings.Replace(customersMail, "<one@", "<two@", 1))
	id := f.do("standard", "POST", f.ticketPath(second)+"/activities", m{"type": "note", "text": "x", "draft": true}).is(201).text("id")
	f.do("standard", "POST", f.ticketPath(second)+"/merge", m{"into": first}).is(200)
	at := f.ticketPath(first) + "/activities/" + id
	if got := f.do("standard", "GET", at, nil).is(200).json()["ticket"]; got != float64(first) {
		t.Errorf("it lies in %v", got)
	}
	f.do("standard", "PATCH", at, m{"draft": false}).is(200)
}

// W26: another's upload is not there, and one serves one use.
func TestW26Uploads(t *testing.T) {
	f := newFixture(t)
	made := f.upload("standard", "../etc/passwd", "bytes").is(201)
	if v := made.json(); v["name"] != "passwd" || v["size"] != 5.0 || len(v["sha256"].(string)) != 64 {
		t.Errorf("the file is %v", v)
	}
	id := made.text("file_id")
	note := func(file string) m { return m{"type": "note", "text": "x", "attachments": []m{{"file_id": file}}} }
	number, _ := f.mailIn(customersMail)
	path := f.ticketPath(number) + "/activities"
	for _, who := range []string{"admin", "informal", "outsider"} {
		f.do(who, "GET", "/files/"+id, nil).is(404)
		f.do(who, "DELETE", "/files/"+id, nil).is(404)
	}
	f.do("informal", "POST", path, note(id)).is(422).refuses("attachments[0].file_id")
	f.do("informal", "POST", path, note("none")).is(422).refuses("attachments[0].file_id")
	f.do("informal", "POST", path, m{"type": "note", "text": "x", "draft": true, "attachments": []m{{"file_id": id}}}).is(422).refuses("attachments[0].file_id")
	if r := f.do("standard", "GET", "/files/"+id, nil).is(200); r.Body.String() != "bytes" || !strings.HasPrefix(r.Header().Get("Content-Disposition"), "attachment") {
		t.Errorf("%v %s", r.Header(), r.Body)
	}
	f.do("standard", "POST", path, note(id)).is(201)
	f.do("standard", "POST", path, note(id)).is(422).refuses("attachments[0].file_id")
	f.do("standard", "GET", "/files/"+id, nil).is(404)
	gone := f.upload("standard", "b", "x").is(201).text("file_id")
	f.do("standard", "DELETE", "/files/"+gone, nil).is(204)
	f.do("standard", "POST", path, note(gone)).is(422).refuses("attachments[0].file_id")
}

func TestRefusedUploads(t *testing.T) {
	f := newFixture(t)
	part := "--b\r\nContent-Disposition: form-data; name=\"%s\"; filename=\"a\"\r\n\r\nx\r\n"
	for name, c := range map[string]struct {
		kind, body string
		want       int
	}{
		"json":             {"application/json", "{}", 415},
		"no boundary":      {"multipart/form-data", "x", 400},
		"no form":          {"multipart/form-data; boundary=b", "x", 400},
		"another name":     {"multipart/form-data; boundary=b", fmt.Sprintf(part, "document") + "--b--", 422},
		"two files":        {"multipart/form-data; boundary=b", fmt.Sprintf(part+part, "file", "file") + "--b--", 422},
		"no end":           {"multipart/form-data; boundary=b", fmt.Sprintf(part, "file"), 400},
		"a field, no file": {"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx\r\n--b--", 422},
	} {
		t.Run(name, func(t *testing.T) { f.do("standard", "POST", "/files", c.body, "Content-Type", c.kind).is(c.want) })
	}
	number, _ := f.mailIn(customersMail)
	path := f.ticketPath(number) + "/activities"
	for field, file := range map[string]m{
		"attachments[0]":         {"file_id": "x", "content": b64("x")},
		"attachments[0].content": {"name": "x"},
		"attachments[0].name":    {"content": b64("x")},
	} {
		f.do("standard", "POST", path, m{"type": "note", "text": "x", "attachments": []m{file}}).is(422).refuses(field)
	}
}

func TestSplit(t *testing.T) {
	f := newFixture(t)
	number, first := f.mailIn(customersMail)
	path := f.ticketPath(number) + "/activities"
	f.do("standard", "POST", path, m{"type": "note", "text": "stays"}).is(201)
	f.do("standard", "POST", path+"/"+first+"/split", m{"channel_id": "none"}).is(422).refuses("channel_id")
	f.do("standard", "POST", path+"/"+first+"/split", m{"subject": "a\nb"}).is(422).refuses("subject")
	made := f.do("standard", "POST", path+"/"+first+"/split", m{"subject": "Another matter", "channel_id": f.sales}).is(201)
	v := made.json()
	if v["subject"] != "Another matter" || v["channel_id"] != f.sales || v["contact"].(m)["email"] != "carla@customer.example" {
		t.Errorf("the new ticket is %v", v)
	}
	at := strings.TrimPrefix(made.Header().Get("Location"), "/api/v1")
	f.do("standard", "GET", at, nil).is(404) // whoever files into a channel that he is not in sees the 201
	links := f.do("admin", "GET", at, nil).is(200).json()["links"].([]any)
	if len(links) != 1 || links[0].(m)["kind"] != "split_from" || links[0].(m)["number"] != float64(number) {
		t.Errorf("the links are %v", links)
	}
	if n := len(f.do("admin", "GET", at+"/activities", nil).items()); n != 2 { // the mail, and where it came from
		t.Errorf("%d activities in the new ticket", n)
	}
}

func TestSendAt(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	path := f.ticketPath(number) + "/activities"
	for name, body := range map[string]m{
		"past":    {"type": "outgoing", "text": "x", "send_at": f.now.Add(-time.Minute)},
		"now":     {"type": "outgoing", "text": "x", "send_at": f.now},
		"too far": {"type": "outgoing", "text": "x", "send_at": f.now.AddDate(2, 0, 0)},
		"a note":  {"type": "note", "text": "x", "send_at": f.now.Add(time.Hour)},
		"a call":  {"type": "outgoing", "medium": "phone", "text": "x", "send_at": f.now.Add(time.Hour)},
	} {
		t.Run(name, func(t *testing.T) { f.do("standard", "POST", path, body).is(422).refuses("send_at") })
	}
	at := f.now.Add(26 * time.Hour)
	r := f.do("standard", "POST", path, m{"type": "outgoing", "text": "x", "send_at": at}).is(201)
	if got := r.text("send_at"); got != at.Format(time.RFC3339) {
		t.Errorf("send_at is %q", got)
	}
	d := f.do("standard", "GET", path+"/"+r.text("id")+"/deliveries", nil).items()[0]
	if d["state"] != "queued" || d["next_attempt_at"] != at.Format(time.RFC3339) {
		t.Errorf("the delivery is %v", d)
	}
	f.do("standard", "POST", "/deliveries/"+d["id"].(string)+"/cancel", nil).is(200)
	f.do("standard", "POST", "/tickets", m{"kind": "internal", "channel_id": f.channel, "subject": "x", "text": "x", "send_at": at}).is(422).refuses("send_at")
	f.do("standard", "POST", "/tickets", m{"kind": "email", "subject": "x", "text": "x", "to": []string{"a@b.example"}, "send_at": at}).is(201)
}
