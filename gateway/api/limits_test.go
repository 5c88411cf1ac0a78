package api_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketgate/store"
)

// endless is a body of so many octets, which counts how many of them are read.
type endless struct {
	left, read int
	of         []byte
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.left)
	for i := range n {
		p[i] = e.of[(e.read+i)%len(e.of)]
	}
	e.left -= n
	e.read += n
	return n, nil
}

// W15: no body makes the program read, unpack or build more than an operation
// allows.
func TestW15Bombs(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	const jsonType, form = "application/json", "multipart/form-data; boundary=b"
	for _, c := range []struct {
		name, method, path, media, coding string
		body                              io.Reader
		status, most                      int // most: octets that may be read
	}{
		{"100 MB of JSON", "PATCH", f.ticketPath(number), jsonType, "", &endless{left: 100 << 20, of: []byte("[[1],")}, 413, 1<<20 + 1},
		{"100 MB where files come in", "POST", "/tickets", jsonType, "", &endless{left: 100 << 20, of: []byte(" ")}, 413, 70<<20 + 1},
		{"100000 levels", "PATCH", f.ticketPath(number), jsonType, "", strings.NewReader(strings.Repeat(`{"a":`, 100_000)), 400, 1 << 20},
		{"100000 levels, closed", "POST", "/contacts", jsonType, "", strings.NewReader(strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)), 400, 1 << 20},
		{"a gzip bomb", "PATCH", f.ticketPath(number), jsonType, "gzip", &endless{left: 100 << 20, of: []byte{0x1f, 0x8b}}, 415, 0},
		{"a million fields", "POST", "/files", "application/x-www-form-urlencoded", "", &endless{left: 4_000_000, of: []byte("a=b&")}, 415, 0},
		{"a million parts", "POST", "/files", form, "", &endless{left: 40_000_000, of: []byte("--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n")}, 422, 70 << 20},
		{"a part's header without end", "POST", "/files", form, "",
			io.MultiReader(strings.NewReader("--b\r\nX: "), &endless{left: 60 << 20, of: []byte("x")}), 400, 70 << 20},
		{"a million values", "POST", "/tokens", jsonType, "", strings.NewReader(`{"name":"x","scopes":[` + strings.Repeat("1,", 400_000) + `1]}`), 422, 1 << 20},
		{"a million names", "POST", "/markers", jsonType, "", strings.NewReader(`{` + strings.Repeat(`"a":1,`, 170_000) + `"b":1}`), 422, 1 << 20},
	} {
		t.Log(c.name)
		req := httptest.NewRequestWithContext(f.ctx, c.method, "/api/v1"+c.path, c.body)
		req.Header.Set("Content-Type", c.media)
		req.Header.Set("Content-Encoding", c.coding)
		req.Header.Set("Authorization", "Bearer "+f.tokens["admin"])
		rec := httptest.NewRecorder()
		f.handler.ServeHTTP(rec, req)
		r := reply{t, rec}.is(c.status)
		if n := r.Body.Len(); n > 64<<10 {
			t.Errorf("the answer has %d octets", n)
		}
		if e, ok := c.body.(*endless); ok && e.read > c.most {
			t.Errorf("%d octets were read", e.read)
		}
	}
}

// slow is a connection whose body comes only when its deadline has passed.
type slow struct {
	*httptest.ResponseRecorder
	deadlines chan time.Time
	passed    chan struct{}
}

func (s *slow) SetReadDeadline(t time.Time) error {
	s.deadlines <- t
	return nil
}

func (s *slow) Read([]byte) (int, error) {
	<-s.passed
	return 0, os.ErrDeadlineExceeded
}

// W16: a body has its time to come, and no more.
func TestW16SlowBodies(t *testing.T) {
	f := newFixture(t)
	for path, limit := range map[string]time.Duration{"/contacts": 15 * time.Second, "/tickets": 5 * time.Minute} {
		s := &slow{httptest.NewRecorder(), make(chan time.Time, 2), make(chan struct{})}
		req := httptest.NewRequestWithContext(f.ctx, "POST", "/api/v1"+path, s)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+f.tokens["admin"])
		begun := time.Now()
		ended := make(chan struct{})
		go func() { defer close(ended); f.handler.ServeHTTP(s, req) }()
		if at := <-s.deadlines; at.Before(begun) || at.After(time.Now().Add(limit)) {
			t.Errorf("%s: it may take until %s", path, at.Sub(begun))
		}
		close(s.passed)
		<-ended
		reply{t, s.ResponseRecorder}.is(http.StatusRequestTimeout)
	}
}

// W18: a fault in the store is told as a fault, without a word of the inside.
func TestW18AFaultInTheStore(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	raw, err := sql.Open("sqlite", f.file)
	f.must(err)
	defer raw.Close()
	_, err = raw.ExecContext(f.ctx, `ALTER TABLE tickets RENAME TO elsewhere`)
	f.must(err)
	for _, c := range [][2]string{{"GET", "/tickets"}, {"GET", f.ticketPath(number)}, {"POST", f.ticketPath(number) + "/take"}} {
		r := f.do("admin", c[0], c[1], nil).is(500)
		body := strings.ReplaceAll(strings.ToLower(r.Body.String()), "about:blank", "")
		for _, word := range []string{"sql", "select", "table", "tickets", "desk.db", "/", "goroutine"} {
			if strings.Contains(body, word) {
				t.Errorf("%v tells of %q: %s", c, word, body)
			}
		}
		if id := r.text("request_id"); !strings.Contains(f.log.String(), "request_id="+id) || r.text("title") == "" || r.text("detail") == "" {
			t.Errorf("%v is not in the log: %s", c, body)
		}
	}
}

// lists gives the paths of every operation that pages.
func (f *fixture) lists(w world) []string {
	f.t.Helper()
	var all []string
	for path, item := range f.document().Paths {
		var op operation
		if item["get"] == nil {
			continue
		}
		f.must(json.Unmarshal(item["get"], &op))
		for _, p := range op.Parameters {
			if p.Name == "cursor" {
				all = append(all, w.fill(path))
			}
		}
	}
	return all
}

// W22: a page has its bounds, and a cursor is good for its own list and caller.
func TestW22PagesAndForeignCursors(t *testing.T) {
	f := newFixture(t)
	w := f.world()
	for range 2 {
		f.mailIn(strings.ReplaceAll(customersMail, "one@", store.NewID()+"@"))
	}
	lists := f.lists(w)
	if len(lists) < 10 {
		t.Fatalf("lists: %v", lists)
	}
	cursors := map[string]string{}
	for _, path := range lists {
		for _, limit := range []string{"-1", "0", "201", "1000000000", "99999999999999999999", "1e3", "x"} {
			f.do("admin", "GET", path+"?limit="+limit, nil).is(422).refuses("limit")
		}
		for _, cursor := range []string{"x", "%00", "!!!", "AAAA", "eyJzIjoidGlja2V0cyJ9", strings.Repeat("A", 4000)} {
			f.do("admin", "GET", path+"?cursor="+cursor, nil).is(400)
		}
		if next := f.do("admin", "GET", path+"?limit=1", nil).is(200).text("next"); next != "" {
			cursors[path] = next
		}
	}
	if len(cursors) < 3 {
		t.Fatalf("only %v go on", cursors)
	}
	// A cursor of another list is refused, but where it names a thing that stands
	// in both; even then it shows nothing that the list itself does not.
	for from, cursor := range cursors {
		for _, path := range lists {
			r := f.do("admin", "GET", path+"?cursor="+cursor, nil)
			if path == from || r.Code == 400 {
				continue
			}
			whole := f.do("admin", "GET", path+"?limit=200", nil).items()
			for _, item := range r.items() {
				if !slices.ContainsFunc(whole, func(w m) bool { return fmt.Sprint(w) == fmt.Sprint(item) }) {
					t.Errorf("the cursor of %s shows in %s: %v", from, path, item)
				}
			}
		}
	}
	// Another one's cursor shows nothing that is not one's own.
	if items := f.do("outsider", "GET", "/tickets?cursor="+cursors["/tickets"], nil).items(); len(items) != 0 {
		t.Errorf("an outsider reads %v", items)
	}
}
