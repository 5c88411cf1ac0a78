package carddav

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fake is a server with one address book, /book/, that does what a test wants.
type fake struct {
	*httptest.Server

	mu     sync.Mutex
	cards  map[string]string // text by path
	marks  string            // XML of the address book's properties
	since  string            // XML of the answer to a sync-collection; "": it knows none
	before func(w http.ResponseWriter, r *http.Request, body string) bool
	log    []string // method and depth, or the report, of each request
}

func newFake(t *testing.T) *fake {
	f := &fake{cards: map[string]string{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) url() string { return f.URL + "/book/" }

// put writes a card.
func (f *fake) put(name, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cards["/book/"+name] = text
}

// set changes how the server behaves.
func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// asked gives what was asked since the last time.
func (f *fake) asked() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	log := strings.Join(f.log, " ")
	f.log = nil
	return log
}

var hrefForm = regexp.MustCompile(`<href>([^<]*)</href>`)

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	read, _ := io.ReadAll(r.Body)
	body := string(read)
	f.mu.Lock()
	kind := r.Method + r.Header.Get("Depth")
	for _, report := range []string{"multiget", "sync-collection"} {
		if strings.Contains(body, report) {
			kind = report
		}
	}
	f.log = append(f.log, kind)
	before := f.before
	f.mu.Unlock()
	if before != nil && before(w, r, body) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch kind {
	case "PROPFIND0":
		multistatus(w, bookEntry(f.marks))
	case "PROPFIND1":
		multistatus(w, bookEntry("")+f.list())
	case "multiget":
		multistatus(w, f.some(body))
	default:
		if f.since == "" {
			http.Error(w, "no such report", http.StatusForbidden)
			return
		}
		multistatus(w, f.since)
	}
}

func bookEntry(marks string) string {
	return ok("/book/", `<D:resourcetype><D:collection/><C:addressbook/></D:resourcetype>`+marks)
}

func (f *fake) list() string {
	var text strings.Builder
	for _, path := range slices.Sorted(maps.Keys(f.cards)) {
		text.WriteString(ok(path, etag(f.cards[path])+`<D:resourcetype/>`))
	}
	return text.String()
}

// some gives the cards that a multiget names.
func (f *fake) some(body string) (text string) {
	for _, m := range hrefForm.FindAllStringSubmatch(body, -1) {
		if card, there := f.cards[m[1]]; there {
			text += ok(m[1], etag(card)+`<C:address-data>`+card+`</C:address-data>`)
		} else {
			text += gone(m[1])
		}
	}
	return text
}

func etag(card string) string { return fmt.Sprintf(`<D:getetag>"%s"</D:getetag>`, hashOf(card)[:8]) }

func ok(path, prop string) string {
	return `<D:response><D:href>` + path + `</D:href><D:propstat><D:prop>` + prop + `</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>`
}

func gone(path string) string {
	return `<D:response><D:href>` + path + `</D:href><D:status>HTTP/1.1 404 Not Found</D:status></D:response>`
}

func multistatus(w http.ResponseWriter, inner string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusMultiStatus)
	_, _ = io.WriteString(w, `<?xml version="1.0"?><D:multistatus xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:carddav" xmlns:S="http://calendarserver.org/ns/">`+inner+`</D:multistatus>`)
}

// counted sums up a log of requests: each kind with its number.
func counted(log string) string {
	n := map[string]int{}
	for _, kind := range strings.Fields(log) {
		n[kind]++
	}
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(n)) {
		kinds = append(kinds, fmt.Sprintf("%s x%d", kind, n[kind]))
	}
	return strings.Join(kinds, " ")
}
