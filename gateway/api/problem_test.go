package api_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"ticketgate/gateway/api"
)

const secretValue = "tr0ub4dor"

// Whatever is refused, the refusal does not say what was sent.
func TestNoProblemEchoesAValue(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"POST", "/tickets", m{"kind": secretValue}},
		{"POST", "/tickets", m{"kind": "email", "subject": m{"x": secretValue}}},
		{"POST", "/tickets", m{"kind": "email", "subject": "s\n" + secretValue}},
		{"POST", "/tickets", m{"kind": "email", "subject": "s", "text": "t", "to": []string{secretValue}}},
		{"POST", "/tickets", m{"kind": "enquiry", "subject": "s", "text": "t", "channel_id": secretValue}},
		{"POST", "/tickets", `{"kind": ` + secretValue + `}`},
		{"POST", "/tickets", `"` + secretValue + `"`},
		{"POST", "/tickets", `{"kind":"email","attachments":[{"name":"a","content":"` + secretValue + `!"}]}`},
		{"PATCH", f.ticketPath(number), m{"status_id": secretValue}},
		{"PATCH", f.ticketPath(number), m{"priority": secretValue}},
		{"PATCH", f.ticketPath(number), m{"owner_id": secretValue}},
		{"POST", "/contacts", m{"name": "x", "emails": []string{secretValue}}},
		{"POST", "/tokens", m{"name": "x", "expires_at": secretValue}},
		{"POST", "/channels", m{"name": "x", "reopen_days": 123456.25}},
		{"POST", "/channels", m{"name": "x", "ack_limit": secretValue}},
		{"GET", "/tickets?sort=" + secretValue, nil},
		{"GET", "/tickets?limit=" + secretValue, nil},
		{"GET", "/tickets?cursor=" + secretValue, nil},
		{"GET", "/deliveries?ticket=" + secretValue, nil},
		{"GET", "/tickets/" + secretValue, nil},
		{"GET", "/" + secretValue, nil},
		{"BREW", "/tickets", nil},
	} {
		r := f.do("admin", c.method, c.path, c.body)
		if r.Code < 400 || r.Code >= 500 {
			t.Errorf("%s %s: %d %s", c.method, c.path, r.Code, r.Body)
		}
		r.is(r.Code)
		if body := r.Body.String(); strings.Contains(body, secretValue) || strings.Contains(body, "123456.25") {
			t.Errorf("%s %s %v: echoed: %s", c.method, c.path, c.body, body)
		}
	}
	if strings.Contains(f.log.String(), secretValue) {
		t.Error("the log holds what was sent")
	}
}

// Refusals come in one order: each request here is wrong in two ways, and the
// earlier gate answers.
func TestTheOrderOfRefusals(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	ticket, huge := f.ticketPath(number), strings.Repeat(" ", 1<<20+1)
	for _, c := range []struct {
		name, who, method, path string
		body                    any
		header                  []string
		status                  int
	}{
		{"401 before 404", "nobody", "GET", "/tickets/1", nil, nil, 401},
		{"404 before 403", "standard", "PATCH", "/channels/none", "{", nil, 404},
		{"404 before 422", "standard", "GET", "/tickets/1?x=y", nil, nil, 404},
		{"404 before 415", "outsider", "PATCH", ticket, "a=b", []string{"Content-Type", "application/x-www-form-urlencoded"}, 404},
		{"403 before 415", "standard", "POST", "/channels", "a=b", []string{"Content-Type", "application/x-www-form-urlencoded"}, 403},
		{"403 before 422", "standard", "POST", "/channels?x=y", m{"y": 1}, nil, 403},
		{"415 before 413", "standard", "PATCH", ticket, huge, []string{"Content-Type", "text/plain"}, 415},
		{"413 before 400", "standard", "PATCH", ticket, huge + "{", nil, 413},
		{"400 before 422", "standard", "PATCH", ticket + "?x=y", "{", nil, 400},
		{"422 before 412", "standard", "PATCH", ticket, m{"subject": 1}, []string{"If-Match", `"99"`}, 422},
		{"a merge patch is for PATCH", "standard", "POST", "/tickets", m{}, []string{"Content-Type", "application/merge-patch+json"}, 415},
		{"no compressed bodies", "standard", "PATCH", ticket, m{}, []string{"Content-Encoding", "gzip"}, 415},
		{"no body", "standard", "POST", "/tickets", "", nil, 400},
		{"two values", "standard", "POST", "/tickets", "{}{}", nil, 400},
		{"too deep", "standard", "POST", "/tickets", strings.Repeat("[", 100_000), nil, 400},
	} {
		t.Log(c.name)
		f.do(c.who, c.method, c.path, c.body, c.header...).is(c.status)
	}
	f.do("standard", "POST", "/explain", strings.Repeat("x", 70<<20+1), "Content-Type", "message/rfc822").is(413)
}

func TestPathsAndMethodsThatThereAreNot(t *testing.T) {
	f := newFixture(t)
	f.do("admin", "GET", "/nothing", nil).is(404)
	f.do("admin", "GET", "/api/v2/tickets", nil).is(404)
	f.do("admin", "GET", "/tickets/", nil).is(404)
	if allow := f.do("admin", "DELETE", "/tickets/10001", nil).is(405).Header().Get("Allow"); allow != "GET, PATCH" {
		t.Errorf("Allow: %s", allow)
	}
}

// W18: a fault of ours says nothing of itself, and its request id leads to the log.
func TestW18AFaultIsForTheLog(t *testing.T) {
	f := newFixture(t)
	for _, explain := range []func(context.Context, []byte, string, string) (any, error){
		func(context.Context, []byte, string, string) (any, error) {
			return nil, errors.New("dial tcp 10.0.0.7: secret " + secretValue)
		},
		func(context.Context, []byte, string, string) (any, error) { panic("secret " + secretValue) },
	} {
		f.serve(func(o *api.Options) { o.Explain = explain })
		r := f.do("standard", "POST", "/explain", customersMail, "Content-Type", "message/rfc822").is(500)
		if strings.Contains(r.Body.String(), "secret") || strings.Contains(r.Body.String(), "10.0.0.7") {
			t.Errorf("it says: %s", r.Body)
		}
		id := r.text("request_id")
		if id == "" || r.Header().Get("X-Request-Id") != id || !strings.Contains(f.log.String(), "request_id="+id) {
			t.Errorf("request %q is not in the log", id)
		}
	}
	f.serve(func(o *api.Options) { o.Explain, o.NewKey, o.Release = nil, nil, nil })
	if r := f.do("standard", "POST", "/explain", customersMail, "Content-Type", "message/rfc822").is(503); r.Header().Get("Retry-After") == "" {
		t.Error("a 503 that doesn't say when to come again")
	}
}

func TestRequestsAreCountedAndLogged(t *testing.T) {
	f := newFixture(t)
	f.do("admin", "GET", "/me", nil).is(200)
	f.do("admin", "GET", "/tickets/5", nil).is(404)
	f.do("admin", "GET", "/no/such", nil).is(404)
	families, err := f.metrics.Gather()
	f.must(err)
	if len(families) != 2 || families[1].GetName() != "ticketgate_http_request_duration_seconds" || len(families[1].GetMetric()) != 3 {
		t.Errorf("metrics: %v", families)
	}
	log := f.log.String()
	for _, part := range []string{"operation=get-me", "status=404", "operation=none"} {
		if !strings.Contains(log, part) {
			t.Errorf("the log lacks %s: %s", part, log)
		}
	}
	if strings.Contains(log, f.tokens["admin"]) {
		t.Error("the token stands in the log")
	}
	for _, header := range []string{"X-Content-Type-Options", "Cache-Control", "Referrer-Policy"} {
		if f.do("admin", "GET", "/me", nil).Header().Get(header) == "" {
			t.Errorf("no %s", header)
		}
	}
}
