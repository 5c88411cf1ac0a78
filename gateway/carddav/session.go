package carddav

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// session carries requests to one server: with the login, within the bounds, and
// to nobody else.
type session struct {
	client *http.Client
	user   *url.Userinfo // nil: no login
	most   int           // bytes of an answer
}

func newSession(opt ClientOptions, user *url.Userinfo) *session {
	if opt.Transport == nil {
		// The process's default one has no bound on header fields.
		opt.Transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1, MaxConnsPerHost: 4,
			TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
		}
	}
	if opt.TimeLimit == 0 {
		opt.TimeLimit = timeLimit
	}
	if opt.MaxAnswer == 0 {
		opt.MaxAnswer = maxAnswer
	}
	return &session{user: user, most: opt.MaxAnswer, client: &http.Client{
		Transport: opt.Transport, Timeout: opt.TimeLimit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// errTooLarge ends an answer that is over the bound.
var errTooLarge = errors.New("the answer is too large")

// Do makes a request. Redirects are followed within the server, with the method
// that was meant: net/http makes a GET of some.
func (s *session) Do(request *http.Request) (*http.Response, error) {
	request.Header.Set("User-Agent", "ticketgate")
	if s.user != nil {
		password, _ := s.user.Password()
		request.SetBasicAuth(s.user.Username(), password)
	}
	for range maxHops {
		response, err := s.client.Do(request)
		if err != nil {
			return nil, withoutURL(err)
		}
		where, err := response.Location()
		if response.StatusCode/100 != 3 || err != nil {
			response.Body = &bounded{ReadCloser: response.Body, left: s.most}
			return response, nil
		}
		_ = response.Body.Close() // nothing of it is wanted
		if request, err = moved(request, where); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("the server redirects in a ring")
}

// moved gives a request for where a redirect leads. The login is for this server
// alone.
func moved(request *http.Request, where *url.URL) (*http.Request, error) {
	if where.Scheme != request.URL.Scheme || where.Host != request.URL.Host {
		return nil, fmt.Errorf("it leads to another server, %s://%s", where.Scheme, where.Host)
	}
	next := request.Clone(request.Context())
	next.URL = &url.URL{Scheme: where.Scheme, Host: where.Host, Path: where.Path, RawPath: where.RawPath, RawQuery: where.RawQuery}
	if request.GetBody == nil {
		return next, nil
	}
	var err error
	next.Body, err = request.GetBody()
	return next, err
}

// withoutURL takes the URL out of an error.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// bounded is an answer that ends with an error where it is too large.
type bounded struct {
	io.ReadCloser
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}
