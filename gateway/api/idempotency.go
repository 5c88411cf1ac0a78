package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ticketgate/store"
)

const (
	// keepAnswers is how long a POST's answer is given again.
	keepAnswers = 24 * time.Hour
	// abandoned is after how long a POST that was begun and never ended counts
	// as lost with its process. It is far longer than any POST takes.
	abandoned = 2 * time.Minute
	// maxKey is the longest Idempotency-Key.
	maxKey = 200
)

// once runs a POST that carries an Idempotency-Key at most once per agent and
// path, and gives the answer of the first run to every later one, whatever token
// or session it comes with: a client that logged in anew in between repeats the
// same request. Only a success is kept: what was refused changed nothing and may
// be tried again.
func (a *api) once(hc checked, c *call, key string, next func(huma.Context)) {
	ctx := hc.Context()
	url := hc.URL()
	run := store.Answered{Caller: c.agent.ID, Path: url.Path, Key: key, At: a.Now()}
	sum := sha256.Sum256(slices.Concat([]byte(url.RawQuery), []byte{0}, hc.body)) // what the query asks for belongs to it
	run.BodyHash = a.sealHash(run, sum)
	if len(key) > maxKey || refuse(key, false) != "" {
		a.fail(hc, invalid("Idempotency-Key", "is at most 200 printable characters"))
		return
	}
	earlier, err := a.begin(ctx, run, sum)
	if err != nil {
		a.fail(hc, err)
		return
	}
	if earlier != nil {
		a.again(hc, c, *earlier)
		return
	}
	a.first(hc, c, run, next)
}

// begin notes that a POST runs, or gives the answer that an earlier one got.
func (a *api) begin(ctx context.Context, run store.Answered, sum [sha256.Size]byte) (*store.Answered, error) {
	var earlier *store.Answered
	err := a.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		earlier, err = a.begun(ctx, tx, run, sum)
		return err
	})
	return earlier, err
}

func (a *api) begun(ctx context.Context, tx *store.Tx, run store.Answered, sum [sha256.Size]byte) (*store.Answered, error) {
	added, err := tx.AddIdempotent(ctx, run)
	if err != nil || added {
		return nil, err
	}
	earlier, ok, err := tx.Idempotent(ctx, run.Caller, run.Path, run.Key)
	if err != nil {
		return nil, err
	}
	age := run.At.Sub(earlier.At)
	switch {
	case !ok, age >= keepAnswers, earlier.Status == 0 && age >= abandoned:
		return nil, tx.PutIdempotent(ctx, run)
	case !a.sameHash(earlier, sum):
		return nil, invalid("Idempotency-Key", "was used with another body")
	case earlier.Status == 0:
		return nil, newProblem(http.StatusConflict, "the first request with this key still runs").because("running")
	}
	return &earlier, nil
}

// sealHash gives the hash of a request as it is kept. Bare it would let whoever
// reads the store try passwords as fast as SHA-256 is: one may stand in the body.
func (a *api) sealHash(run store.Answered, sum [sha256.Size]byte) string {
	return base64.StdEncoding.EncodeToString(a.Seal.Seal(hashPlace(run), sum[:]))
}

// sameHash tells whether an earlier request was this one.
func (a *api) sameHash(earlier store.Answered, sum [sha256.Size]byte) bool {
	box, err := base64.StdEncoding.DecodeString(earlier.BodyHash)
	if err != nil {
		return false
	}
	plain, err := a.Seal.Open(hashPlace(earlier), box)
	return err == nil && bytes.Equal(plain, sum[:])
}

func hashPlace(run store.Answered) string { return "request|" + answerPlace(run) }

// kept is an answer as it is stored.
type kept struct {
	Scopes []string          `json:"scopes,omitempty"` // of the token that it was given to
	Until  time.Time         `json:"until,omitzero"`   // when that one ends
	Header map[string]string `json:"header"`
	Body   []byte            `json:"body"`
}

// first runs the POST, keeps its answer if it succeeded, and gives it.
func (a *api) first(hc checked, c *call, run store.Answered, next func(huma.Context)) {
	out := &captured{checked: hc, kept: kept{Header: map[string]string{}}}
	ended := false
	defer func() {
		if !ended || out.code/100 != 2 {
			a.forget(hc.Context(), run)
		}
	}()
	next(out)
	ended = true
	if out.code/100 == 2 {
		run.Status = out.code
		run.Location = out.kept.Header["Location"]
		a.keep(hc.Context(), c, run, out)
	}
	out.send(hc)
}

// keep stores an answer, sealed: it may hold what is shown only once. Should that
// fail, the answer is given all the same.
func (a *api) keep(ctx context.Context, c *call, run store.Answered, out *captured) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	out.kept.Body, out.kept.Scopes, out.kept.Until = out.body.Bytes(), c.token.Scopes, c.token.ExpiresAt
	plain, err := json.Marshal(out.kept)
	if err == nil {
		run.Response = base64.StdEncoding.EncodeToString(a.Seal.Seal(answerPlace(run), plain))
		err = a.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.PutIdempotent(ctx, run) })
	}
	if err != nil {
		a.Log.ErrorContext(ctx, "an answer was not kept", "request_id", requestID(ctx), "err", err)
	}
}

// answerPlace binds a sealed answer to its row.
func answerPlace(run store.Answered) string {
	return "answered|" + run.Caller + "|" + run.Path + "|" + run.Key
}

// forget lets a POST that was refused or broke off be tried again.
func (a *api) forget(ctx context.Context, run store.Answered) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := a.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.DeleteIdempotent(ctx, run.Caller, run.Path, run.Key)
	})
	if err != nil {
		a.Log.ErrorContext(ctx, "a refused request stays noted", "request_id", requestID(ctx), "err", err)
	}
}

// again gives the answer of the first run, but to no token that may do less than
// the one that got it: it may hold a token that may do more.
func (a *api) again(hc checked, c *call, earlier store.Answered) {
	answer, err := a.opened(earlier)
	if err == nil && (!covers(c.token.Scopes, answer.Scopes) || outlives(answer.Until, c.token.ExpiresAt)) {
		err = newProblem(http.StatusForbidden, "this key was used with a token of wider scopes or a later end")
	}
	if err != nil {
		a.fail(hc, err)
		return
	}
	out := &captured{checked: hc, code: earlier.Status, kept: answer}
	out.body.Write(answer.Body)
	out.send(hc)
}

func (a *api) opened(earlier store.Answered) (kept, error) {
	var k kept
	box, err := base64.StdEncoding.DecodeString(earlier.Response)
	if err != nil {
		return k, err
	}
	plain, err := a.Seal.Open(answerPlace(earlier), box)
	if err != nil {
		return k, err
	}
	return k, json.Unmarshal(plain, &k)
}

// captured holds an answer back until it is kept.
type captured struct {
	checked
	kept kept
	code int
	body bytes.Buffer
}

func (c *captured) SetStatus(code int) { c.code = code }
func (c *captured) Status() int        { return c.code }
func (c *captured) SetHeader(name, value string) {
	c.kept.Header[http.CanonicalHeaderKey(name)] = value
}
func (c *captured) AppendHeader(name, value string) { c.SetHeader(name, value) }
func (c *captured) BodyWriter() io.Writer           { return &c.body }

// send writes the answer to the client.
func (c *captured) send(hc huma.Context) {
	for name, value := range c.kept.Header {
		hc.SetHeader(name, value)
	}
	hc.SetStatus(c.code)
	_, _ = hc.BodyWriter().Write(c.body.Bytes()) // a client that is gone asks again
}
