// Package carddav brings the address books of a CardDAV server (RFC 6352) into
// the desk's contacts, through the import that files of vCards take. Everything
// that the server says is a claim: it may be down, slow, endless or nonsense, and
// costs a bounded time and memory then.
//
// How an address book is found is go-webdav's. What lies in it is read here:
// that library holds a whole answer in memory, and lets one card that it can't
// read, or that is just being deleted, spoil all others of the answer.
package carddav

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	webdav "github.com/emersion/go-webdav/carddav"
)

// The bounds of reading.
const (
	timeLimit  = 30 * time.Second // of one request, to the last octet of its answer
	maxAnswer  = 32 << 20         // bytes of it, unpacked
	maxBooks   = 50
	maxCards   = 100_000 // of an address book
	maxHops    = 5       // redirects of a request
	maxPages   = 1000    // of a list of changes
	maxPath    = 2000    // letters
	maxTag     = 500
	maxReason  = 200
	maxDepth   = 100 // of elements in an answer
	cardsAtOne = 50  // cards that are asked for at once
)

// ClientOptions set up a Client.
type ClientOptions struct {
	URL       string            // http or https; user and password in it are for Basic authentication
	Transport http.RoundTripper // carries the requests; default an own one
	TimeLimit time.Duration     // of one request; default 30 s
	MaxAnswer int               // bytes; default 32 MiB
}

// Client reads from one server. It is safe for concurrent use. Its errors name
// neither user nor password.
type Client struct {
	root *url.URL // without user and password
	http *session
}

// NewClient makes a Client; it connects to nothing yet. The URL must be one of
// http or https with a host.
func NewClient(opt ClientOptions) (*Client, error) {
	u, err := url.Parse(opt.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("carddav: the URL is none of http or https")
	}
	c := &Client{root: &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}, http: newSession(opt, u.User)}
	if c.root.Path == "" {
		c.root.Path = "/"
	}
	return c, nil
}

// Close gives idle connections back.
func (c *Client) Close() { c.http.client.CloseIdleConnections() }

// Origin names the server: scheme, host and port.
func (c *Client) Origin() string { return c.root.Scheme + "://" + c.root.Host }

// name tells sources apart: the same server, seen as another user or from
// another folder, is another one.
func (c *Client) name() string {
	u := *c.root
	if c.http.user != nil {
		u.User = url.User(c.http.user.Username())
	}
	return u.String()
}

// Book is an address book.
type Book struct {
	Path string // decoded
	Mark string // changes whenever a card does; "": the server gives none
}

const (
	syncMark = "sync:" // before a sync-token (RFC 6578)
	tagMark  = "ctag:" // before a ctag of Calendarserver's
)

// Books gives the address book that the URL names, else all of the user's.
func (c *Client) Books(ctx context.Context) ([]Book, error) {
	own, err := c.book(ctx, c.root.EscapedPath())
	if err == nil {
		return []Book{own}, nil
	}
	if !errors.Is(err, errNoBook) && c.root.Path != "/" {
		return nil, err
	}
	paths, err := c.home(ctx, c.root)
	if err != nil && c.root.Path == "/" { // RFC 6764, 5
		known := *c.root
		known.Path = "/.well-known/carddav"
		var second error
		if paths, second = c.home(ctx, &known); second == nil {
			err = nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the user's address books can't be found: %w", tame(err))
	}
	if len(paths) == 0 || len(paths) > maxBooks {
		return nil, fmt.Errorf("the user has %d address books: want 1 to %d", len(paths), maxBooks)
	}
	books := make([]Book, 0, len(paths))
	for _, path := range paths {
		book, err := c.book(ctx, (&url.URL{Path: path}).EscapedPath())
		if err != nil {
			return nil, err
		}
		books = append(books, book)
	}
	return books, nil
}

// home gives the paths of a user's address books.
func (c *Client) home(ctx context.Context, from *url.URL) ([]string, error) {
	dav, err := webdav.NewClient(c.http, from.String())
	if err != nil {
		return nil, err
	}
	principal, err := dav.FindCurrentUserPrincipal(ctx)
	if err != nil {
		return nil, err
	}
	home, err := dav.FindAddressBookHomeSet(ctx, principal)
	if err != nil {
		return nil, err
	}
	found, err := dav.FindAddressBooks(ctx, home)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, b := range found {
		if usable(b.Path) {
			paths = append(paths, b.Path)
		}
	}
	return paths, nil
}

// usable tells whether something can be asked for and remembered by a path.
func usable(path string) bool {
	return strings.HasPrefix(path, "/") && len(path) <= maxPath && plain(path)
}

var errNoBook = errors.New("no address book lies there")

// book asks what lies at a path. Error: errNoBook for what is something else.
func (c *Client) book(ctx context.Context, path string) (Book, error) {
	var book Book
	found := false
	_, err := c.ask(ctx, "PROPFIND", path, "0", bookQuestion, func(e entry) error {
		found = found || e.book
		book = Book{Path: e.path}
		switch {
		case e.syncToken != "" && len(e.syncToken) <= maxTag:
			book.Mark = syncMark + e.syncToken
		case e.ctag != "" && len(e.ctag) <= maxTag:
			book.Mark = tagMark + e.ctag
		}
		return nil
	})
	if err == nil && (!found || !usable(book.Path)) {
		err = errNoBook
	}
	return book, err
}
