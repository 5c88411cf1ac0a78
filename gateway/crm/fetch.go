package crm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"ticketgate/store"
	"ticketgate/threading"
)

// newTransport gives connections of our own: the process's default ones have no
// bound on header fields.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: maxInflight, MaxConnsPerHost: 2 * maxInflight,
		TLSHandshakeTimeout: timeLimit, IdleConnTimeout: openFor, MaxResponseHeaderBytes: 64 << 10,
	}
}

// failure is an answer that is none. Its text names neither the address asked
// for nor the token.
type failure struct {
	reason  string
	refused bool // the CRM is well, and refuses this very question
	err     error
}

func (f *failure) Error() string {
	if f.err != nil {
		return f.reason + ": " + f.err.Error()
	}
	return f.reason
}

func (f *failure) Unwrap() error { return f.err }

func unavailable(reason string, err error) error {
	return &store.Error{Code: store.CodeUnavailable, Message: "the CRM can't be asked", Err: &failure{reason: reason, err: err}}
}

// answered tells the breaker whether the CRM works.
func answered(err error) bool {
	if err == nil || store.IsNotFound(err) {
		return true
	}
	f, ok := errors.AsType[*failure](err)
	return ok && f.refused
}

// fetch asks the CRM once.
func (c *Client) fetch(ctx context.Context, q question) ([]threading.DirectoryContact, error) {
	u := *c.url
	u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+url.Values{q.name: {q.value}}.Encode(), "&")
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, unavailable("the request can't be made", nil)
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "ticketgate")
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, unavailable("no answer", withoutURL(err))
	}
	defer func() { _ = response.Body.Close() }()
	if err := judge(response.StatusCode); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, unavailable("the answer broke off", withoutURL(err))
	case len(body) > maxBody:
		return nil, unavailable("the answer is larger than 1 MiB", nil)
	}
	found, err := read(body, q.name == "q", c.now())
	if err == nil && len(found) == 0 {
		err = errNobody
	}
	return found, err
}

// judge says what a status means.
func judge(status int) error {
	switch status {
	case http.StatusOK:
		return nil
	case http.StatusNotFound:
		return errNobody
	case http.StatusBadRequest, http.StatusRequestURITooLong, http.StatusUnprocessableEntity:
		return &store.Error{Code: store.CodeUnavailable, Message: "the CRM can't be asked",
			Err: &failure{reason: fmt.Sprintf("status %d", status), refused: true}}
	}
	return unavailable(fmt.Sprintf("status %d", status), nil)
}

// withoutURL takes the URL, which names whom we asked for, out of an error.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
