package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ticketgate/store"
)

// secretMail is a mail to Support whose every word the outsider, who is in Sales,
// would know again.
const secretMail = "From: Carla Customer <carla@customer.example>\r\nTo: support@example.test\r\n" +
	"Subject: zirkon subject\r\nMessage-ID: <zirkon@customer.example>\r\nDate: Sun, 22 Nov 2026 09:59:00 +0000\r\n" +
	"Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain\r\n\r\nzirkon text\r\n" +
	"--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=zirkon.txt\r\n\r\nzirkon file\r\n--b--\r\n"

// inSales puts the outsider into a channel of his own, with a ticket there, and
// makes what all agents share: what is in Support later must change none of it.
func (f *fixture) inSales() (own int64) {
	f.t.Helper()
	f.do("admin", "POST", "/channels/"+f.sales+"/subscriptions", m{"agent_id": f.agents["outsider"], "type": "standard"}).is(201)
	company := f.do("admin", "POST", "/companies", m{"name": "Customer", "domains": []string{"customer.example"}}).is(201).text("id")
	f.do("admin", "POST", "/contacts", m{"name": "Carla Customer", "company_id": company,
		"emails": []string{"carla@customer.example"}}).is(201)
	f.do("admin", "POST", "/custom-fields", m{"key": "serial", "name": "Serial"}).is(201)
	f.do("admin", "POST", "/markers", m{"name": "Red", "colour": "#ff0000"}).is(201)
	r := f.do("outsider", "POST", "/tickets", m{"kind": "internal", "channel_id": f.sales, "subject": "own", "text": "own"}).is(201)
	return int64(r.json()["number"].(float64))
}

// hide makes a ticket in Support, with one of all that can hang on a ticket. It
// gives the ids by the segment of the path that they stand behind.
func (f *fixture) hide() world {
	f.t.Helper()
	number, mail := f.mailIn(secretMail)
	path := f.ticketPath(number)
	made := func(who, below string, body m) string {
		f.t.Helper()
		return f.do(who, "POST", path+below, body).is(201).text("id")
	}
	w := world{
		"/tickets": fmt.Sprint(number), "/activities": mail,
		"/attachments":   f.do("admin", "GET", path+"/activities/"+mail, nil).json()["attachments"].([]any)[0].(m)["id"].(string),
		"/times":         made("standard", "/times", m{"minutes": 77, "comment": "zirkon"}),
		"/alarms":        made("standard", "/alarms", m{"at": f.clock().Add(time.Hour), "comment": "zirkon"}),
		"/tickets/files": made("standard", "/files", m{"name": "zirkon.txt", "content": "YQ=="}),
		"/links":         fmt.Sprint(number + 1), "/watchers": f.agents["standard"],
		"/drafts": f.do("standard", "POST", "/tickets", m{"kind": "internal", "subject": "zirkon", "draft": true}).is(201).text("id"),
		"/files":  f.upload("standard", "zirkon.txt", "zirkon").is(201).text("file_id"),
		"/views":  f.do("standard", "POST", "/views", m{"name": "zirkon"}).is(201).text("id"),
		"/tokens": f.do("standard", "POST", "/tokens", m{"name": "zirkon"}).is(201).text("id"),
	}
	answer := made("standard", "/activities", m{"type": "outgoing", "text": "zirkon"})
	w["/deliveries"] = f.do("standard", "GET", path+"/activities/"+answer+"/deliveries", nil).items()[0]["id"].(string)
	made("standard", "/activities", m{"type": "note", "text": "zirkon", "draft": true})
	f.do("standard", "POST", path+"/watchers", m{"agent_id": f.agents["standard"]}).is(201)
	f.do("standard", "PATCH", path, m{"tags": []string{"zirkon"}, "priority": "urgent", "comment": "zirkon", "fields": m{"serial": "zirkon"}}).is(200)
	f.do("standard", "POST", "/tickets", m{"kind": "internal", "channel_id": f.channel, "subject": "zirkon 2", "text": "zirkon"}).is(201)
	f.do("standard", "POST", path+"/links", m{"number": number + 1, "kind": "related"}).is(201)
	return w
}

// asks are the lists and numbers of the API, and what one may ask of them about a
// ticket that is not there yet.
func (f *fixture) asks(next int64) []string {
	f.t.Helper()
	about := []string{"zirkon", "T#" + fmt.Sprint(next), fmt.Sprint(next), "carla@customer.example", "zirkon.txt"}
	var asks []string
	for path, item := range f.document().Paths {
		var op operation
		if item["get"] == nil || strings.Contains(path, "{") || path == "/events" || strings.HasPrefix(path, "/login") {
			continue
		}
		f.must(json.Unmarshal(item["get"], &op))
		asks = append(asks, path)
		for _, p := range op.Parameters {
			switch p.Name {
			case "q", "from", "message_id", "tag":
				for _, text := range append(about, "zirkon@customer.example") {
					asks = append(asks, path+"?"+p.Name+"="+url.QueryEscape(text))
				}
			case "ticket":
				asks = append(asks, path+"?ticket="+fmt.Sprint(next))
			case "field":
				asks = append(asks, path+"?field=serial:zirkon")
			case "by":
				for _, by := range []string{"channel", "owner", "status", "day"} {
					asks = append(asks, path+"?by="+by)
				}
			case "channel_id":
				asks = append(asks, path+"?channel_id="+f.channel)
			case "owner_id", "watcher_id", "agent_id":
				asks = append(asks, path+"?"+p.Name+"="+f.agents["standard"])
			case "list":
				asks = append(asks, path+"?list=my", path+"?list=drafts")
			case "priority":
				asks = append(asks, path+"?priority=urgent")
			}
		}
	}
	slices.Sort(asks)
	return append(asks, f.companyTimes())
}

func (f *fixture) companyTimes() string {
	return "/companies/" + f.do("admin", "GET", "/companies", nil).items()[0]["id"].(string) + "/times"
}

// said is an answer without what is another one each time.
func said(r reply) string {
	r.t.Helper()
	return fmt.Sprint(r.Code, " ", r.Header().Get("Content-Type"), " ", requestIDs.ReplaceAllString(r.Body.String(), ""))
}

var requestIDs = regexp.MustCompile(`"request_id":"[0-9a-f-]+"`)

// W01: no list, number, search or table says anything else because there is a
// ticket in a channel that the caller is not in.
func TestW01ListsAndNumbersTellNothing(t *testing.T) {
	f := newFixture(t)
	own := f.inSales()
	// when an account last had mail is of the account, which all agents read
	asks := slices.DeleteFunc(f.asks(own+1), func(path string) bool { return path == "/mail-accounts" })
	before := map[string]string{}
	for _, path := range asks {
		before[path] = said(f.do("outsider", "GET", path, nil))
	}
	w := f.hide()
	if w["/tickets"] != fmt.Sprint(own+1) {
		t.Fatalf("asked about ticket %d, there is %s", own+1, w["/tickets"])
	}
	told := 0
	for _, path := range asks {
		if after := said(f.do("outsider", "GET", path, nil)); after != before[path] {
			t.Errorf("%s was\n%s\nand is\n%s", path, before[path], after)
		}
		if after := said(f.do("standard", "GET", path, nil)); strings.Contains(after, "zirkon") {
			told++
		}
	}
	if told < 10 {
		t.Errorf("only %d of %d say it to those who may know", told, len(asks))
	}
	if stream := f.do("outsider", "GET", "/events?last_event_id=0-0", nil).is(200).Body.String(); strings.Contains(stream, w["/tickets"]) {
		t.Errorf("events tell of it: %s", stream)
	}
}

// W01: whatever is asked of another's ticket, by whatever verb, is answered as if
// it were not there.
func TestW01EveryPathOfAHiddenTicket(t *testing.T) {
	f := newFixture(t)
	own := f.inSales()
	w := f.hide()
	missing := maps.Clone(w)
	for name := range missing {
		missing[name] = store.NewID()
	}
	missing["/tickets"], missing["/links"] = "99999", "99998"
	mine := maps.Clone(w) // the things of the hidden ticket below the caller's own
	mine["/tickets"] = fmt.Sprint(own)
	mineMissing := maps.Clone(missing)
	mineMissing["/tickets"] = fmt.Sprint(own)
	asked := 0
	for path := range f.document().Paths {
		if !belongs(path) {
			continue
		}
		for _, verb := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"} {
			for _, body := range []any{nil, "", "{}", "{", m{"type": "note", "text": "x", "agent_id": f.agents["outsider"], "into": own, "to": own, "minutes": 1}} {
				asked++
				if a := f.alike(verb, w.fill(path), missing.fill(path), body); a.Code != 404 && a.Code != 405 {
					t.Errorf("%s %s: %s", verb, path, said(a))
				}
				if strings.Count(path, "{") > 1 {
					f.alike(verb, mine.fill(path), mineMissing.fill(path), body)
				}
			}
		}
	}
	if asked < 500 {
		t.Errorf("only %d requests", asked)
	}
	seen := f.do("standard", "GET", "/tickets/"+w["/tickets"], nil).is(200).Body.String()
	if strings.Contains(seen, f.agents["outsider"]) {
		t.Errorf("something was done: %s", seen)
	}
}

// belongs tells whether a path leads to what belongs to a ticket or to an agent.
func belongs(path string) bool {
	for _, kind := range []string{"/tickets/{", "/deliveries/{", "/drafts/{", "/files/{", "/views/{", "/tokens/{"} {
		if strings.HasPrefix(path, kind) {
			return true
		}
	}
	return false
}

// alike checks that the outsider gets the same answer for two paths, and none
// that shows anything.
func (f *fixture) alike(verb, hidden, missing string, body any) reply {
	f.t.Helper()
	a, b := f.do("outsider", verb, hidden, body), f.do("outsider", verb, missing, body)
	one, other := said(a), said(b)
	if one != other || a.Code < 400 || strings.Contains(one, "zirkon") {
		f.t.Errorf("%s %s %v: %s\nbut %s: %s", verb, hidden, body, one, missing, other)
	}
	return a
}

// W01: a body or a query that names what is hidden is refused as one that names
// what is not there.
func TestW01BodiesThatNameWhatIsHidden(t *testing.T) {
	f := newFixture(t)
	own := f.inSales()
	path := f.ticketPath(own)
	note := f.do("outsider", "POST", path+"/activities", m{"type": "note", "text": "own"}).is(201).text("id")
	w := f.hide()
	number := func(w world) json.Number { return json.Number(w["/tickets"]) }
	missing := world{"/tickets": "99999", "/activities": store.NewID(), "/files": store.NewID(), "/attachments": store.NewID(), "/views": store.NewID()}
	mail := strings.NewReplacer("zirkon@", "another@", "zirkon", "x").Replace(secretMail)
	for name, ask := range map[string]func(w world) reply{
		"merge": func(w world) reply { return f.do("outsider", "POST", path+"/merge", m{"into": number(w)}) },
		"move": func(w world) reply {
			return f.do("outsider", "POST", path+"/activities/"+note+"/move", m{"to": number(w)})
		},
		"link": func(w world) reply {
			return f.do("outsider", "POST", path+"/links", m{"number": number(w), "kind": "related"})
		},
		"untie": func(w world) reply {
			return f.do("outsider", "DELETE", path+"/links/"+w["/tickets"]+"?kind=related", nil)
		},
		"answers": func(w world) reply {
			return f.do("outsider", "POST", path+"/activities", m{"type": "outgoing", "text": "x", "to": []string{"a@example.org"}, "answers": w["/activities"]})
		},
		"file": func(w world) reply {
			return f.do("outsider", "POST", path+"/activities", m{"type": "note", "text": "x", "attachments": []m{{"file_id": w["/files"]}}})
		},
		"file of a ticket": func(w world) reply {
			return f.do("outsider", "POST", path+"/activities", m{"type": "note", "text": "x", "attachments": []m{{"file_id": w["/attachments"]}}})
		},
		"bulk": func(w world) reply {
			return f.do("outsider", "POST", "/tickets/bulk", m{"numbers": []json.Number{number(w)}, "patch": m{"priority": "low"}})
		},
		"bulk by filter": func(w world) reply {
			return f.do("outsider", "POST", "/tickets/bulk", m{"filter": m{"tag": "zirkon"}, "patch": m{"priority": "low"}})
		},
		"view":   func(w world) reply { return f.do("outsider", "GET", "/tickets?view="+w["/views"], nil) },
		"export": func(w world) reply { return f.do("outsider", "GET", "/tickets/export.csv?view="+w["/views"], nil) },
		"hand in": func(w world) reply {
			return f.do("outsider", "POST", "/messages?account_id="+f.account+"&ticket="+w["/tickets"], mail, "Content-Type", "message/rfc822")
		},
		"events": func(w world) reply {
			return f.do("outsider", "GET", "/events?last_event_id=0-0&ticket="+w["/tickets"], nil)
		},
	} {
		hidden, none := said(ask(w)), said(ask(missing))
		if strings.ReplaceAll(hidden, w["/tickets"], "99999") != none {
			t.Errorf("%s: %s\nbut %s", name, hidden, none)
		}
	}
	again := f.do("outsider", "POST", "/messages?account_id="+f.account, secretMail, "Content-Type", "message/rfc822").is(200)
	if strings.Contains(again.Body.String(), w["/tickets"]) {
		t.Errorf("where a mail lies is told: %s", again.Body)
	}
}

// W01: a mail that waits for a ticket is shown there to those who see where it
// waits.
func TestW01WhatWaitsElsewhere(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	r := f.service.Take(f.ctx, f.incoming(strangersMail))[0]
	held := func(who string) int {
		return len(f.do(who, "GET", f.ticketPath(number), nil).is(200).json()["held"].([]any))
	}
	if held("standard") != 1 {
		t.Error("it is not shown while it is in the same channel")
	}
	f.do("admin", "PATCH", f.ticketPath(r.Ticket), m{"channel_id": f.sales, "subject": "zirkon"}).is(200)
	f.do("standard", "GET", f.ticketPath(r.Ticket), nil).is(404)
	if held("standard") != 0 || held("admin") != 1 {
		t.Errorf("standard is shown %d, an admin %d", held("standard"), held("admin"))
	}
}

// W01: what would become of a mail is told to every agent, but not in which ticket
// that he does not see it would lie, or lies.
func TestW01ExplainNamesNoHiddenTicket(t *testing.T) {
	f := newFixture(t)
	own := f.inSales()
	number, _ := strconv.ParseInt(f.hide()["/tickets"], 10, 64)
	reply := strings.NewReplacer("zirkon@", "new@", "Date:", "In-Reply-To: <zirkon@customer.example>\r\nDate:",
		"Subject: ", fmt.Sprintf("Subject: [T#%d] ", number)).Replace(secretMail)
	for _, mail := range []string{reply, secretMail} {
		match := func(who string) m {
			return f.do(who, "POST", "/explain?to=support@example.test&from=carla@customer.example", mail, "Content-Type", "message/rfc822").is(200).json()["match"].(m)
		}
		if told := match("standard"); told["ticket"] != float64(number) {
			t.Errorf("standard is told %v", told)
		}
		told := match("outsider")
		for _, s := range told["signals"].([]any) {
			if s.(m)["ticket"] != float64(0) {
				t.Errorf("a signal: %v", s)
			}
		}
		if told["ticket"] != nil || own == number {
			t.Errorf("the outsider is told %v", told)
		}
	}
}
