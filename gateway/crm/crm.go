// Package crm asks the customers' directory that another program keeps: who has
// an address, a phone or an id. Everything that it answers is a claim and is
// cleaned here; a CRM that is slow, down or wrong costs little and breaks
// nothing.
package crm

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/sony/gobreaker/v2"
	"golang.org/x/sync/singleflight"

	"ticketgate/store"
	"ticketgate/threading"
	"ticketgate/threading/message"
)

// The bounds of asking.
const (
	timeLimit   = 2 * time.Second // of one look-up, from the wait for a slot to the last octet
	maxBody     = 1 << 20
	maxInflight = 16   // questions on the wire at once
	maxCached   = 4096 // answers
	searchAge   = time.Minute
	maxFailures = 5                // in a row, before the CRM is left alone
	openFor     = 30 * time.Second // until it is tried again
)

// The results that Observe is told.
const (
	ResultFound    = "found"
	ResultNotFound = "not_found"
	ResultFailed   = "failed"
	ResultCached   = "cached" // answered from the cache, whatever it says
	ResultOpen     = "open"   // not asked: the breaker is open
)

// Options set up a Client.
type Options struct {
	URL     string        // http or https; a query that it has is kept
	Token   string        // the bearer token; "": none is sent
	Refresh time.Duration // how long an answer is believed; default 24 h
	Now     func() time.Time
	Log     *slog.Logger
	// Observe is told of each look-up, by a Result word. It must be safe for
	// concurrent use.
	Observe func(result string)
	// Transport carries the requests; default an own one.
	Transport http.RoundTripper
}

// Client asks one CRM. It is safe for concurrent use. Its look-ups give
// store.Error: not_found where the CRM knows nobody, unavailable where it does
// not answer, in at most 2 s.
type Client struct {
	url     *url.URL
	token   string
	refresh time.Duration
	now     func() time.Time
	log     *slog.Logger
	observe func(string)
	http    *http.Client
	breaker *gobreaker.CircuitBreaker[[]threading.DirectoryContact]
	slots   chan struct{}
	flights singleflight.Group
	cache   *cache
}

// New makes a Client. The URL must be one of http or https with a host.
func New(opt Options) (*Client, error) {
	u, err := url.Parse(opt.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("crm: the URL is none of http or https")
	}
	if opt.Refresh == 0 {
		opt.Refresh = 24 * time.Hour
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Observe == nil {
		opt.Observe = func(string) {}
	}
	if opt.Transport == nil {
		opt.Transport = newTransport()
	}
	c := &Client{
		url: u, token: opt.Token, refresh: opt.Refresh, now: opt.Now, log: opt.Log, observe: opt.Observe,
		http: &http.Client{Transport: opt.Transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // the token is for this address alone
		}},
		slots: make(chan struct{}, maxInflight), cache: newCache(maxCached),
	}
	c.breaker = gobreaker.NewCircuitBreaker[[]threading.DirectoryContact](gobreaker.Settings{
		Name: "crm", Timeout: openFor,
		ReadyToTrip:  func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= maxFailures },
		IsSuccessful: answered,
		OnStateChange: func(_ string, _, to gobreaker.State) {
			switch to {
			case gobreaker.StateOpen:
				c.log.Warn("the CRM is left alone for a while", "seconds", openFor.Seconds())
			case gobreaker.StateClosed:
				c.log.Info("the CRM answers again")
			}
		},
	})
	return c, nil
}

// Close gives idle connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// ByAddress gives the person who has an address. One whose addresses, as
// answered, don't hold it is not that person.
func (c *Client) ByAddress(ctx context.Context, a message.Address) (threading.DirectoryContact, error) {
	return c.one(ctx, question{"email", a.String(), a.Key()}, func(d threading.DirectoryContact) bool {
		return hasAddress(d, a.Key())
	})
}

// ByPhone gives the person who has a phone number.
func (c *Client) ByPhone(ctx context.Context, phone string) (threading.DirectoryContact, error) {
	return c.one(ctx, question{"phone", phone, phone}, func(threading.DirectoryContact) bool { return true })
}

// ByID gives the person of an id of the CRM.
func (c *Client) ByID(ctx context.Context, id string) (threading.DirectoryContact, error) {
	return c.one(ctx, question{"id", id, id}, func(d threading.DirectoryContact) bool { return d.ID == id })
}

// Search gives the persons whom the CRM finds for a text, in its order, at most
// 50.
func (c *Client) Search(ctx context.Context, query string) ([]threading.DirectoryContact, error) {
	return c.look(ctx, question{"q", query, query})
}

// one asks for a single person. What the CRM answers for somebody else, as one
// that does not know the parameter would, counts for nobody: it must not give
// a customer's mail to another one.
func (c *Client) one(ctx context.Context, q question, fits func(threading.DirectoryContact) bool) (threading.DirectoryContact, error) {
	found, err := c.look(ctx, q)
	if err != nil {
		return threading.DirectoryContact{}, err
	}
	if len(found) != 1 || !fits(found[0]) {
		return threading.DirectoryContact{}, errNobody
	}
	return found[0], nil
}

// question is one parameter of a look-up; key is what answers are kept by.
type question struct {
	name, value, key string
}

var (
	errNobody = store.Errorf(store.CodeNotFound, "the CRM knows nobody like that")
	errOpen   = store.Errorf(store.CodeUnavailable, "the CRM failed several times, and is left alone for a while")
)

// look answers a question from the cache, or has it asked, once for all who
// wait for it. The asking goes on when this caller no longer waits.
func (c *Client) look(ctx context.Context, q question) ([]threading.DirectoryContact, error) {
	key := q.name + "=" + q.key
	if found, ok := c.cache.get(key, c.now()); ok {
		c.observe(ResultCached)
		return orNobody(found)
	}
	flight := c.flights.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeLimit)
		defer cancel()
		return c.ask(ctx, key, q)
	})
	select {
	case r := <-flight:
		found, _ := r.Val.([]threading.DirectoryContact)
		if r.Err != nil {
			return nil, r.Err
		}
		return orNobody(found)
	case <-ctx.Done():
		return nil, unavailable("nobody waits for the answer", ctx.Err())
	}
}

func orNobody(found []threading.DirectoryContact) ([]threading.DirectoryContact, error) {
	if len(found) == 0 {
		return nil, errNobody
	}
	return found, nil
}

// ask puts the question to the CRM, through the breaker, and keeps the answer.
func (c *Client) ask(ctx context.Context, key string, q question) ([]threading.DirectoryContact, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		c.observe(ResultFailed)
		return nil, unavailable("too many questions wait for the CRM", ctx.Err())
	}
	found, err := c.breaker.Execute(func() ([]threading.DirectoryContact, error) { return c.fetch(ctx, q) })
	switch {
	case errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests):
		c.observe(ResultOpen)
		return nil, errOpen
	case store.IsNotFound(err):
		c.observe(ResultNotFound)
	case err != nil:
		c.observe(ResultFailed)
		c.log.Warn("a look-up in the CRM failed", "by", q.name, "err", err)
		return nil, err
	default:
		c.observe(ResultFound)
	}
	c.cache.put(key, found, c.now().Add(c.keepFor(q)))
	return found, nil
}

// keepFor gives how long an answer is believed; who searches wants to see what
// was added just now.
func (c *Client) keepFor(q question) time.Duration {
	if q.name == "q" {
		return min(c.refresh, searchAge)
	}
	return c.refresh
}

// Probe asks once for an address that nobody has, past cache and breaker, and
// tells what is wrong, or nil.
func (c *Client) Probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()
	_, err := c.fetch(ctx, question{name: "email", value: "nobody@ticketgate.invalid"})
	if store.IsNotFound(err) {
		return nil
	}
	return err
}

func hasAddress(d threading.DirectoryContact, key string) bool {
	for _, a := range d.Emails {
		if a.Key() == key {
			return true
		}
	}
	return false
}
