package api_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"ticketgate/deploy/testbed"
	"ticketgate/gateway/api"
	"ticketgate/gateway/login"
	"ticketgate/store"
)

// hashes stands in for argon2id, whose cost is of no interest here, and counts.
type hashes struct {
	checks, made atomic.Int64
}

func (h *hashes) Hash(_ context.Context, plain string) (string, error) {
	h.made.Add(1)
	return "hash of " + plain, nil
}

func (h *hashes) Check(_ context.Context, hash, plain string) (matches, stale bool, err error) {
	h.checks.Add(1)
	_, old := strings.CutPrefix(hash, "old ")
	return strings.TrimPrefix(hash, "old ") == "hash of "+plain, old, nil
}

const correct = "correct horse"

// knows gives a person a password, if he has none.
func (f *fixture) knows(who string) {
	f.t.Helper()
	f.must(f.db.Update(f.ctx, func(ctx context.Context, tx *store.Tx) error {
		if has, err := tx.AgentPassword(ctx, f.agents[who]); err != nil || has != "" {
			return err
		}
		return tx.SetPassword(ctx, f.agents[who], "hash of "+correct, "")
	}))
}

func mailOf(who string) string { return who + "@example.test" }

// tries logs in with a password.
func (f *fixture) tries(who, password string, header ...string) reply {
	f.t.Helper()
	return f.do("nobody", "POST", "/login", m{"email": mailOf(who), "password": password}, header...)
}

// browser is one that is logged in.
type browser struct {
	f       *fixture
	cookie  string // name=value
	session string // its id
}

// logIn logs a person in with a password.
func (f *fixture) logIn(who string, header ...string) browser {
	f.t.Helper()
	f.knows(who)
	return f.browser(f.tries(who, correct, header...).is(200))
}

// browser takes the cookie of an answer.
func (f *fixture) browser(r reply) browser {
	f.t.Helper()
	c := r.cookie("ticketgate")
	return browser{f: f, cookie: c.Name + "=" + c.Value, session: r.text("id")}
}

func (b browser) do(method, path string, body any, header ...string) reply {
	b.f.t.Helper()
	return b.f.do("nobody", method, path, body, append([]string{"Cookie", b.cookie}, header...)...)
}

// cookie gives the one of this name, with or without __Host-.
func (r reply) cookie(name string) *http.Cookie {
	r.t.Helper()
	for _, c := range r.Result().Cookies() {
		if c.Name == name || c.Name == "__Host-"+name {
			return c
		}
	}
	r.t.Fatalf("no cookie %s: %v %s", name, r.Header(), r.Body)
	return nil
}

// setTOTP gives a person a second factor, and gives its secret.
func (f *fixture) setTOTP(who string) (secret []byte) {
	f.t.Helper()
	secret = login.NewTOTPSecret()
	f.must(f.db.Update(f.ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.PutTOTP(ctx, store.TOTP{
			AgentID: f.agents[who], Secret: login.SealTOTP(f.seal, f.agents[who], secret), ConfirmedAt: f.clock(),
		})
	}))
	return secret
}

// code is what an authenticator shows (RFC 6238), some steps from now.
func (f *fixture) code(secret []byte, steps int64) string {
	mac := hmac.New(sha1.New, secret)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(f.clock().Unix()/30+steps)))
	sum := mac.Sum(nil)
	at := sum[19] & 15
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:])&0x7fffffff%1000000)
}

func (f *fixture) typedCode(secret string, steps int64) string {
	f.t.Helper()
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	f.must(err)
	return f.code(raw, steps)
}

// mailedToken takes the token out of the newest mail to a person: of the first
// link in its text.
func (f *fixture) mailedToken(who string) string {
	f.t.Helper()
	u, err := url.Parse(f.mailedLink(who))
	f.must(err)
	return u.Query().Get("token")
}

func (f *fixture) mailedLink(who string) string {
	f.t.Helper()
	mail := f.mails(who)[0]
	for word := range strings.FieldsSeq(mail.Text) {
		if strings.HasPrefix(word, "http") {
			return word
		}
	}
	f.t.Fatalf("no link: %s", mail.Text)
	return ""
}

// mails gives the mails to a person, newest first.
func (f *fixture) mails(who string) []store.Mail {
	f.t.Helper()
	var all []store.Mail
	f.must(f.db.View(f.ctx, func(ctx context.Context, tx *store.Tx) error {
		rows, _, err := tx.Deliveries(ctx, store.DeliveryFilter{Kind: store.MailNotification})
		if err != nil {
			return err
		}
		for _, d := range rows {
			if d.Recipient != mailOf(who) {
				continue
			}
			mail, err := tx.Mail(ctx, d.MailID)
			if err != nil {
				return err
			}
			all = append(all, mail)
		}
		return nil
	}))
	return all
}

// audit gives the lines of the log, newest first.
func (f *fixture) audit(query string) []map[string]any {
	f.t.Helper()
	return f.do("admin", "GET", "/audit?limit=200"+query, nil).items()
}

// serveOIDC serves with a provider to log in at.
func (f *fixture) serveOIDC(p *testbed.OIDCProvider) {
	f.t.Helper()
	f.serve(func(o *api.Options) {
		o.OIDC = login.NewOIDC(login.OIDCOptions{
			Issuer: p.Issuer, ClientID: p.ClientID, ClientSecret: p.ClientSecret, RedirectURL: o.PublicURL + api.Prefix + api.OIDCBack,
		})
	})
}

// secure serves as if behind https.
func (f *fixture) secure(change func(*api.Options)) {
	f.t.Helper()
	f.serve(func(o *api.Options) {
		o.PublicURL = "https://desk.example.test"
		if change != nil {
			change(o)
		}
	})
}

// same strips what differs from one request to the next.
func same(r reply) string {
	r.t.Helper()
	body := map[string]any{}
	if r.Body.Len() > 0 {
		body = r.json()
	}
	delete(body, "request_id")
	header := r.Header().Clone()
	header.Del("X-Request-Id")
	return fmt.Sprint(r.Code, body, header)
}

// operationID gives the id of a route, from the description.
func (f *fixture) operationID(route string) string {
	f.t.Helper()
	method, path, _ := strings.Cut(route, " ")
	var op struct{ OperationID string }
	f.must(json.Unmarshal(f.document().Paths[path][strings.ToLower(method)], &op))
	return op.OperationID
}
