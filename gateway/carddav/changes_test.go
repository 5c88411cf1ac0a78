package carddav

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const (
	someToken = `<D:sync-token>data:1</D:sync-token>`
	nextToken = `<D:sync-token>data:2</D:sync-token>`
)

// What is asked for depends on how the server tells of changes.
func TestWhatIsAskedFor(t *testing.T) {
	list := "PROPFIND0 PROPFIND1"
	for name, c := range map[string]struct {
		marks, next, since string
		idle, changed      string // what is asked without a change, and with one
	}{
		"no marks":             {"", "", "", list, list + " multiget"},
		"a ctag":               {`<S:getctag>1</S:getctag>`, `<S:getctag>2</S:getctag>`, "", "PROPFIND0", list + " multiget"},
		"a sync-token":         {someToken, nextToken, ok("/book/ida", etag(vcard("Ida Jung"))), "PROPFIND0", "PROPFIND0 sync-collection multiget"},
		"a token that is over": {someToken, nextToken, "", "PROPFIND0", "PROPFIND0 sync-collection PROPFIND1 multiget"},
		"a broken report":      {someToken, nextToken, "<x", "PROPFIND0", "PROPFIND0 sync-collection PROPFIND1 multiget"},
		"an odd token":         {"<D:sync-token>" + strings.Repeat("x", 501) + "</D:sync-token>", "", "", list, list + " multiget"},
	} {
		t.Run(name, func(t *testing.T) {
			r, f := newRig(t), newFake(t)
			f.put("ida", vcard("Ida", "EMAIL:ida@x.example"))
			f.put("kim", vcard("Kim"))
			f.set(func() { f.marks = c.marks })
			s := r.source(ClientOptions{URL: f.url()})
			r.wantRound(r.round(s), "2 added, 0 changed, 0 unchanged")
			if got := f.asked(); got != list+" multiget" {
				t.Errorf("at first: %s", got)
			}
			r.wantRound(r.later(s), "0 added, 0 changed, 0 unchanged")
			if got := f.asked(); got != c.idle {
				t.Errorf("without a change: %s", got)
			}
			f.put("ida", vcard("Ida Jung", "EMAIL:ida@x.example"))
			f.set(func() { f.marks, f.since = c.next, c.since })
			r.wantRound(r.later(s), "0 added, 1 changed, 0 unchanged")
			if got := f.asked(); got != c.changed {
				t.Errorf("with one: %s", got)
			}
			r.wantContacts("Ida Jung <ida@x.example>, Kim")
		})
	}
}

// A list of changes that comes in pieces is read to its end; one that has none is
// not.
func TestChangesInPieces(t *testing.T) {
	r, f := newRig(t), newFake(t)
	f.put("ida", vcard("Ida"))
	f.set(func() { f.marks = someToken })
	s := r.source(ClientOptions{URL: f.url()})
	r.round(s)
	f.put("kim", vcard("Kim"))
	f.put("jo", vcard("Jo"))
	const full = `<D:response><D:href>/book/</D:href><D:status>HTTP/1.1 507 Insufficient Storage</D:status></D:response>`
	f.set(func() {
		f.marks = nextToken
		f.before = func(w http.ResponseWriter, _ *http.Request, body string) bool {
			switch {
			case strings.Contains(body, "data:1<"):
				multistatus(w, ok("/book/kim", etag(vcard("Kim")))+full+`<D:sync-token>data:1.5</D:sync-token>`)
			case strings.Contains(body, "data:1.5<"):
				multistatus(w, ok("/book/jo", etag(vcard("Jo")))+gone("/book/ida")+nextToken)
			default:
				return false
			}
			return true
		}
	})
	f.asked()
	r.wantRound(r.later(s), "2 added, 0 changed, 0 unchanged")
	if got := f.asked(); got != "PROPFIND0 sync-collection sync-collection multiget" {
		t.Errorf("asked %s", got)
	}
	f.set(func() {
		f.marks = `<D:sync-token>data:3</D:sync-token>`
		f.before = func(w http.ResponseWriter, _ *http.Request, body string) bool {
			if strings.Contains(body, "data:2<") {
				multistatus(w, full+nextToken)
				return true
			}
			return false
		}
	})
	r.wantRound(r.later(s), "0 added, 0 changed, 1 unchanged") // Ida, whose card was said to be gone
	if got := f.asked(); got != "PROPFIND0 sync-collection PROPFIND1 multiget" {
		t.Errorf("asked %s", got)
	}
	r.wantContacts("Ida, Kim, Jo")
}

// Many cards come in several answers; where that breaks off, what was taken stays
// and is not asked for again.
func TestManyCards(t *testing.T) {
	r, f := newRig(t), newFake(t)
	for i := range 230 {
		f.put(fmt.Sprintf("%d", i), vcard(fmt.Sprintf("P%d", i)))
	}
	answers := 0
	f.set(func() {
		f.before = func(w http.ResponseWriter, _ *http.Request, body string) bool {
			if strings.Contains(body, "multiget") {
				answers++
			}
			if answers == 3 {
				answers++
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			}
			return false
		}
	})
	s := r.source(ClientOptions{URL: f.url()})
	r.wantRound(r.round(s), "100 added, 0 changed, 0 unchanged; failed: /book/: status 503")
	f.asked()
	r.wantRound(r.later(s), "130 added, 0 changed, 0 unchanged")
	if got := counted(f.asked()); got != "PROPFIND0 x1 PROPFIND1 x1 multiget x3" {
		t.Errorf("asked %s", got)
	}
}
