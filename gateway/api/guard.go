package api

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ticketgate/store"
)

// guard is the gate of one operation. It lets a request through to huma's
// reading of parameters and body once caller, thing, role and the outside of
// the body are in order; the order of its refusals is part of the contract.
func (a *api) guard(r route, body bodyMode) func(huma.Context, func(huma.Context)) {
	return func(hc huma.Context, next func(huma.Context)) {
		ctx := hc.Context()
		c, err := a.caller(ctx, r, hc)
		if err != nil {
			a.fail(hc, err)
			return
		}
		c.param, c.query = hc.Param, hc.Query
		raw, err := a.admit(hc, r, c, body)
		if err != nil {
			a.fail(hc, err)
			return
		}
		if r.audited() {
			c.audit = a.auditOf(ctx, r, c, raw)
			next = a.accountFor(c, next)
		}
		known := checked{hc, context.WithValue(ctx, callKey{}, c), raw}
		if key := hc.Header("Idempotency-Key"); key != "" && r.method == http.MethodPost && !r.pure && !r.open {
			a.once(known, c, key, next)
			return
		}
		next(known)
	}
}

// caller finds who it is. What is open to everybody is so to pages of ours, and
// to programs: a foreign page must not log its reader in as somebody else.
func (a *api) caller(ctx context.Context, r route, hc huma.Context) (*call, error) {
	switch token := hc.Query("token"); {
	case r.open && r.method != http.MethodGet && a.origins.foreign(requestOf(ctx).http):
		return nil, foreignOrigin()
	case r.open:
		return &call{}, nil
	case r.tokenInQuery && token != "":
		return a.byEventsToken(ctx, token)
	}
	return a.authenticate(ctx)
}

// admit asks for the thing, the role and the body, in this order.
func (a *api) admit(hc huma.Context, r route, c *call, body bodyMode) ([]byte, error) {
	if err := a.find(hc.Context(), r, c); err != nil {
		return nil, err
	}
	if err := allowed(r, c); err != nil {
		return nil, err
	}
	if r.method == http.MethodGet || r.method == http.MethodDelete {
		if err := checkQuery(hc.URL().RawQuery); err != nil {
			return nil, err
		}
		if r.syntax != nil {
			return nil, r.syntax(hc.Context(), c, hc)
		}
		return nil, checkCursor(hc.Query("cursor"))
	}
	raw, err := readBody(hc, r, body)
	if err == nil {
		err = checkQuery(hc.URL().RawQuery)
	}
	return raw, err
}

// checkQuery refuses a query that can't be read. Go's own reading leaves out what
// it can't, and a list without the filter that was meant is another list.
func checkQuery(raw string) error {
	if _, err := url.ParseQuery(raw); err != nil {
		return newProblem(http.StatusBadRequest, "the query can't be read")
	}
	return nil
}

// checkCursor refuses what can be no cursor of ours before the other
// parameters are looked at. Whether it is one of this list the list finds out.
func checkCursor(cursor string) error {
	if _, err := base64.RawURLEncoding.Strict().DecodeString(cursor); err != nil {
		return store.Invalid("cursor", "is not one that this list gave")
	}
	return nil
}

// under is a huma.Context to be embedded: by its own name it would hide its
// method Context.
type under huma.Context

// checked is a request whose body was read and whose caller is known.
type checked struct {
	under
	ctx  context.Context
	body []byte
}

func (c checked) Context() context.Context { return c.ctx }
func (c checked) BodyReader() io.Reader    { return bytes.NewReader(c.body) }

// find is the gate of 404: of the thing that the path names.
func (a *api) find(ctx context.Context, r route, c *call) error {
	for _, name := range parameters(r.path) {
		if !plainID.MatchString(c.param(name)) {
			return notFound()
		}
	}
	if r.find == nil {
		return nil
	}
	return r.find(ctx, c)
}

var (
	plainID      = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
	placeholders = regexp.MustCompile(`\{([a-z_]+)\}`)
)

func parameters(path string) []string {
	var names []string
	for _, m := range placeholders.FindAllStringSubmatch(path, -1) {
		names = append(names, m[1])
	}
	return names
}

// The scopes of a token; one without scopes does all that its agent may.
const (
	scopeRead  = "read"  // GET
	scopeDesk  = "desk"  // the operations tagged desk
	scopeAdmin = "admin" // the operations tagged admin
)

// allowed is the gate of 403: of the agent's role and the token's scopes.
func allowed(r route, c *call) error {
	if r.open {
		return nil
	}
	if r.tag == tagAdmin && !c.admin() {
		return newProblem(http.StatusForbidden, "this is for admins")
	}
	scopes := c.token.Scopes
	if r.personal && (len(scopes) > 0 || !c.token.ExpiresAt.IsZero()) {
		return newProblem(http.StatusForbidden, "a token with scopes, or with an end, does not change how its agent logs in")
	}
	if len(scopes) == 0 || slices.Contains(scopes, r.tag) ||
		r.method == http.MethodGet && slices.Contains(scopes, scopeRead) {
		return nil
	}
	return newProblem(http.StatusForbidden, "the token's scopes do not cover this")
}

// readBody is the gates of 415, 413 and 400.
func readBody(hc huma.Context, r route, mode bodyMode) ([]byte, error) {
	if err := checkType(hc, r, mode); err != nil {
		return nil, err
	}
	raw, err := readAll(hc, r.limit())
	if err != nil {
		return nil, err
	}
	switch {
	case mode == bodyNone:
		return nil, checkEmpty(raw)
	case len(raw) == 0 && mode == bodyOptional:
		return nil, nil
	case len(raw) == 0:
		return nil, newProblem(http.StatusBadRequest, "a body is required")
	case r.media == nil && !json.Valid(raw):
		return nil, newProblem(http.StatusBadRequest, "the body is not valid JSON")
	}
	return raw, nil
}

func checkType(hc huma.Context, r route, mode bodyMode) error {
	if coding := hc.Header("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return newProblem(http.StatusUnsupportedMediaType, "a body comes in without Content-Encoding")
	}
	header := hc.Header("Content-Type")
	if header == "" || mode == bodyNone {
		return nil
	}
	media, _, err := mime.ParseMediaType(header)
	if err != nil || !r.accepts(media) {
		return newProblem(http.StatusUnsupportedMediaType, "a body of another type is expected here")
	}
	return nil
}

// checkEmpty lets an action that takes no body have none, or an empty object.
func checkEmpty(raw []byte) error {
	if trimmed := bytes.TrimSpace(raw); len(trimmed) > 0 && !bytes.Equal(trimmed, []byte("{}")) {
		return newProblem(http.StatusUnprocessableEntity, "this takes no body")
	}
	return nil
}

// readAll reads a body of at most limit bytes, within a time that a slow line
// can keep.
func readAll(hc huma.Context, limit int64) ([]byte, error) {
	deadline := 15 * time.Second
	if limit > smallBody {
		deadline = 5 * time.Minute
	}
	_ = hc.SetReadDeadline(time.Now().Add(deadline)) // not every writer has one
	raw, err := io.ReadAll(io.LimitReader(hc.BodyReader(), limit+1))
	_ = hc.SetReadDeadline(time.Time{})
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return nil, newProblem(http.StatusRequestTimeout, "the body came too slowly")
	}
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, "the body broke off")
	}
	if int64(len(raw)) > limit {
		return nil, newProblem(http.StatusRequestEntityTooLarge, "the body is too large").tooLarge(limit)
	}
	return raw, nil
}
