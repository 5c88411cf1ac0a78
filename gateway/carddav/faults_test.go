package carddav

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// fewBytes are enough for each answer that is in order.
const fewBytes = 1 << 20

// Whatever a server answers, the round ends, says why, and what is there stays.
func TestFaults(t *testing.T) {
	r, f := newRig(t), newFake(t)
	f.put("ida", vcard("Ida"))
	s := r.source(ClientOptions{URL: f.url(), MaxAnswer: fewBytes})
	r.round(s)
	write := func(code int, text string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.WriteHeader(code); _, _ = io.WriteString(w, text) }
	}
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		want   string
	}{
		"a fault":             {write(500, "oops"), "status 500"},
		"no such user":        {write(401, ""), "status 401"},
		"a page":              {write(200, "<html>log in</html>"), "status 200"},
		"a page as an answer": {write(207, "<html>log in</html>"), "the answer can't be read: it is no multistatus"},
		"no XML":              {write(207, "BEGIN:VCARD"), "the answer can't be read: EOF"},
		"half of an answer":   {write(207, `<D:multistatus xmlns:D="DAV:"><D:response>`), "the answer can't be read: XML syntax error on line 1: unexpected EOF"},
		"nothing":             {write(207, ""), "the answer can't be read: EOF"},
		"an empty answer":     {write(207, `<D:multistatus xmlns:D="DAV:"/>`), "the user's address books can't be found: "},
		"entities":            {write(207, `<!DOCTYPE a [<!ENTITY b "c">]><D:multistatus xmlns:D="DAV:">&b;</D:multistatus>`), "invalid character entity &b;"},
		"a deep answer":       {write(207, `<D:multistatus xmlns:D="DAV:"><D:response>`+strings.Repeat("<a>", 100_000)), "the answer can't be read: it is nested too deep"},
		"an endless answer":   {endless, "the answer is too large"},
		"a packed one":        {packed, "the answer is too large"},
		"the connection ends": {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, "EOF"},
		"a ring":              {func(w http.ResponseWriter) { w.Header().Set("Location", "/book/"); w.WriteHeader(302) }, "the server redirects in a ring"},
		"nowhere":             {write(302, ""), "status 302"},
	} {
		f.set(func() {
			f.before = func(w http.ResponseWriter, _ *http.Request, _ string) bool { c.answer(w); return true }
		})
		if got := r.later(s); !strings.Contains(got, "failed: ") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s\nwant %s", name, got, c.want)
		}
		r.wantContacts("Ida")
	}
}

func endless(w http.ResponseWriter) {
	w.WriteHeader(http.StatusMultiStatus)
	_, _ = io.WriteString(w, `<D:multistatus xmlns:D="DAV:">`)
	for piece := strings.Repeat("<a/>", 16<<10); ; {
		if _, err := io.WriteString(w, piece); err != nil {
			return
		}
	}
}

func packed(w http.ResponseWriter) {
	w.Header().Set("Content-Encoding", "gzip")
	w.WriteHeader(http.StatusMultiStatus)
	z := gzip.NewWriter(w)
	_, _ = z.Write([]byte(`<D:multistatus xmlns:D="DAV:"><a>` + strings.Repeat(" ", fewBytes) + `</a></D:multistatus>`))
	_ = z.Close()
}

// One bad card spoils no other, whatever is wrong with it; where all are bad it is
// the server.
func TestBadCards(t *testing.T) {
	r, f := newRig(t), newFake(t)
	for i := range 20 {
		f.put(fmt.Sprintf("p%d", i), vcard(fmt.Sprintf("P%d", i)))
	}
	f.put("entity", "BEGIN:VCARD\nFN:&nbsp;\nEND:VCARD")
	f.put("illegal", "BEGIN:VCARD\nFN:&#11;\nEND:VCARD")
	f.put("control", vcard("Con\vtrol"))
	f.put("huge", vcard("Huge", "PHOTO:"+strings.Repeat("x", fewBytes)))
	f.put("none", "hello")
	f.put("empty", "")
	s := r.source(ClientOptions{URL: f.url(), MaxAnswer: fewBytes})
	got := r.round(s)
	for _, want := range []string{"21 added, 0 changed, 0 unchanged", brokenSize, "it is no vCard"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if n := strings.Count(got, brokenJunk); n != 2 || strings.Contains(got, "failed") {
		t.Errorf("%d can't be read: %s", n, got)
	}
	f.asked()
	r.wantRound(r.later(s), "0 added, 0 changed, 0 unchanged")
	if asked := f.asked(); asked != "PROPFIND0 PROPFIND1" {
		t.Errorf("asked again: %s", asked)
	}

	f.put("p1", vcard("P1", "NOTE:&nbsp;"))
	f.put("p2", vcard("P2", "NOTE:&nbsp;"))
	for range 2 {
		r.wantRound(r.later(s), "0 added, 0 changed, 0 unchanged; failed: /book/: the answer can't be read: no card in it makes sense")
	}
	f.put("p1", vcard("P1", "TEL:1"))
	f.put("p2", vcard("P2", "TEL:2"))
	r.wantRound(r.later(s), "0 added, 2 changed, 0 unchanged")
}

// Entries of other places, and what is no card, are passed over.
func TestOddEntries(t *testing.T) {
	r, f := newRig(t), newFake(t)
	f.set(func() {
		f.before = func(w http.ResponseWriter, r *http.Request, body string) bool {
			if r.Header.Get("Depth") != "1" || r.Method != "PROPFIND" {
				return false
			}
			text := bookEntry("") + ok("/book/deep/er", etag("")) + ok("/other/x", etag("")) + ok("http://elsewhere.example/book/x", etag("")) +
				ok("/book/%zz", etag("")) + ok("/book/%00", etag("")) + ok("/book/"+strings.Repeat("x", 2000), etag("")) + ok("relative", etag("")) +
				ok("/book/folder/", `<D:resourcetype><D:collection/></D:resourcetype>`) + ok("/book/folder", `<D:resourcetype><D:collection/></D:resourcetype>`) +
				gone("/book/gone") + ok("/book/ida", etag(vcard("Ida"))) + ok("/book/vanished", etag("x"))
			multistatus(w, text)
			return true
		}
	})
	f.put("ida", vcard("Ida"))
	r.wantRound(r.round(r.source(ClientOptions{URL: f.url()})), "1 added, 0 changed, 0 unchanged")
	r.wantContacts("Ida")
}

// A server that does not answer, or not to the end, costs the time limit; the
// next rounds come later and later, and at least as often as Refresh.
func TestSlowServer(t *testing.T) {
	r, f := newRig(t), newFake(t)
	free := make(chan struct{})
	t.Cleanup(func() { close(free) })
	var begun atomic.Bool
	f.set(func() {
		f.before = func(w http.ResponseWriter, _ *http.Request, _ string) bool {
			if begun.Load() {
				multistatusBegin(w)
			}
			<-free
			return true
		}
	})
	s := r.source(ClientOptions{URL: f.url(), TimeLimit: 50 * time.Millisecond})
	for i, pause := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour} {
		begun.Store(i%2 == 1)
		if got := r.round(s); !strings.Contains(got, "failed: ") || !strings.Contains(got, "Client.Timeout") {
			t.Errorf("round %d: %s", i, got)
		}
		r.now = r.now.Add(pause - time.Second)
		r.wantRound(r.round(s), "")
		r.now = r.now.Add(time.Second)
	}
}

func multistatusBegin(w http.ResponseWriter) {
	w.WriteHeader(http.StatusMultiStatus)
	_, _ = io.WriteString(w, `<D:multistatus xmlns:D="DAV:">`)
	w.(http.Flusher).Flush()
}

// Of several nodes one reads at a time; one that died is followed by another, and
// one that comes back writes nothing over.
func TestOneNodeReads(t *testing.T) {
	r, f := newRig(t), newFake(t)
	f.put("ida", vcard("Ida"))
	s, other := r.source(ClientOptions{URL: f.url()}), r.source(ClientOptions{URL: f.url()})
	other.opt.DB = r.open()
	meanwhile := func(*rig) {}
	f.set(func() {
		f.before = func(w http.ResponseWriter, _ *http.Request, body string) bool {
			if strings.Contains(body, "multiget") {
				do := meanwhile
				meanwhile = func(*rig) {}
				do(r)
			}
			return false
		}
	})
	meanwhile = func(r *rig) {
		r.now = r.now.Add(holdFor - time.Second)
		r.wantRound(r.round(other), "")
	}
	r.wantRound(r.round(s), "1 added, 0 changed, 0 unchanged")

	f.put("kim", vcard("Kim"))
	meanwhile = func(r *rig) {
		r.now = r.now.Add(holdFor + time.Second) // s hangs for so long
		r.wantRound(r.round(other), "1 added, 0 changed, 0 unchanged")
	}
	r.now = r.now.Add(time.Hour)
	if r.round(s); len(r.seen) != 1 {
		t.Errorf("the one that came too late told of it: %v", r.seen)
	}
	r.wantContacts("Ida, Kim")
	r.wantRound(r.round(s), "") // other said when it is due
}

// A daemon that ends in mid-round leaves the rest to the next one, at once.
func TestShutdown(t *testing.T) {
	r, f := newRig(t), newFake(t)
	for i := range 60 {
		f.put(fmt.Sprintf("%d", i), vcard(fmt.Sprintf("P%d", i)))
	}
	ctx, cancel := context.WithCancel(t.Context())
	answers := 0
	f.set(func() {
		f.before = func(_ http.ResponseWriter, _ *http.Request, body string) bool {
			if strings.Contains(body, "multiget") {
				if answers++; answers == 2 {
					cancel()
					return true
				}
			}
			return false
		}
	})
	s := r.source(ClientOptions{URL: f.url()})
	if err := s.Round(ctx); err != nil || strings.Join(r.seen, "|") != "50 added, 0 changed, 0 unchanged" {
		t.Errorf("%v, %v", r.seen, err)
	}
	r.wantRound(r.round(s), "10 added, 0 changed, 0 unchanged")
}

// The login goes to the server that the URL names, and nowhere else.
func TestRedirects(t *testing.T) {
	var asked atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer elsewhere.Close()
	r, f := newRig(t), newFake(t)
	f.put("ida", vcard("Ida"))
	where := "/book/"
	f.set(func() {
		f.before = func(w http.ResponseWriter, r *http.Request, body string) bool {
			switch {
			case r.Header.Get("Authorization") != "Basic dTpw":
				w.WriteHeader(http.StatusUnauthorized)
			case r.URL.Path == "/old/":
				http.Redirect(w, r, where, http.StatusMovedPermanently)
			default:
				return false
			}
			return true
		}
	})
	url := strings.Replace(f.URL, "://", "://u:p@", 1) + "/old/"
	r.wantRound(r.round(r.source(ClientOptions{URL: url})), "1 added, 0 changed, 0 unchanged")
	for _, where = range []string{elsewhere.URL + "/book/", "https://" + strings.TrimPrefix(f.URL, "http://") + "/book/"} {
		got := r.later(r.source(ClientOptions{URL: url}))
		if !strings.Contains(got, "failed: it leads to another server, "+strings.TrimSuffix(where, "/book/")) {
			t.Error(got)
		}
	}
	if asked.Load() > 0 {
		t.Error("another server was asked")
	}
}
