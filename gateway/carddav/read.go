package carddav

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

const (
	xmlHead      = `<?xml version="1.0" encoding="utf-8"?>`
	bookQuestion = xmlHead + `<propfind xmlns="DAV:" xmlns:s="http://calendarserver.org/ns/"><prop><resourcetype/><sync-token/><s:getctag/></prop></propfind>`
	listQuestion = xmlHead + `<propfind xmlns="DAV:"><prop><resourcetype/><getetag/></prop></propfind>`
)

// listed is a card of an address book.
type listed struct {
	path string // decoded
	etag string // "": the server gives none
}

// changes is what an address book holds, or what became of it since a state.
type changes struct {
	all  bool // cards are all that it holds
	list []listed
	gone []string // paths
}

// errTooMany is said of an address book that is over the bound.
var errTooMany = fmt.Errorf("the address book holds more than %d cards", maxCards)

// changes gives what became of an address book since a mark that it had. Where
// the server can't tell, it is all that the address book holds.
func (c *Client) changes(ctx context.Context, book Book, since string) (changes, error) {
	token, knows := strings.CutPrefix(since, syncMark)
	if knows && strings.HasPrefix(book.Mark, syncMark) {
		found, err := c.since(ctx, book, token)
		if err == nil || ctx.Err() != nil {
			return found, err
		}
		// A token may be too old, and a server know no such report: whatever it was, the
		// list says it all.
	}
	return c.all(ctx, book)
}

// all lists an address book.
func (c *Client) all(ctx context.Context, book Book) (changes, error) {
	found := changes{all: true}
	_, err := c.ask(ctx, "PROPFIND", pathOf(book.Path), "1", listQuestion, func(e entry) error {
		if e.collection || e.status != http.StatusOK || !within(book, e.path) {
			return nil
		}
		if found.list = append(found.list, listed{e.path, tagOf(e)}); len(found.list) > maxCards {
			return errTooMany
		}
		return nil
	})
	return found, err
}

// since asks for what changed (RFC 6578, 3.2). A server may cut its answer short,
// and say so by a 507 for the address book itself; then the new token leads on.
func (c *Client) since(ctx context.Context, book Book, token string) (found changes, err error) {
	for range maxPages {
		more := false
		question := xmlHead + `<sync-collection xmlns="DAV:"><sync-token>` + escaped(token) +
			`</sync-token><sync-level>1</sync-level><prop><resourcetype/><getetag/></prop></sync-collection>`
		next, err := c.ask(ctx, "REPORT", pathOf(book.Path), "0", question, func(e entry) error {
			switch {
			case !within(book, e.path):
				more = more || e.status == http.StatusInsufficientStorage
			case e.status == http.StatusNotFound:
				found.gone = append(found.gone, e.path)
			case !e.collection && e.status == http.StatusOK:
				found.list = append(found.list, listed{e.path, tagOf(e)})
			}
			if len(found.list)+len(found.gone) > maxCards {
				return errTooMany
			}
			return nil
		})
		if err != nil || !more {
			return found, err
		}
		if next == "" || next == token {
			break
		}
		token = next
	}
	return found, errors.New("the list of changes has no end")
}

func tagOf(e entry) string {
	if len(e.etag) > maxTag {
		return ""
	}
	return e.etag
}

// within tells whether a path lies in an address book, and not deeper.
func within(book Book, path string) bool {
	name, ok := strings.CutPrefix(path, strings.TrimSuffix(book.Path, "/")+"/")
	return ok && name != "" && !strings.Contains(name, "/")
}

func pathOf(path string) string { return (&url.URL{Path: path}).EscapedPath() }

// object is a card that was asked for.
type object struct {
	listed
	text   []byte
	broken string // why there is no text; "": there is
}

// The reasons why there is no text.
const (
	brokenSize = "the card is too large"
	brokenJunk = "what the server says of the card can't be read"
)

// cards gives some cards of an address book. Those that are gone meanwhile are
// left out. One that makes an answer unreadable or too large is found by asking
// for fewer, and spoils no other; where nothing can be read, that is an error.
func (c *Client) cards(ctx context.Context, book Book, wanted []listed) ([]object, error) {
	found, err := c.fewer(ctx, book, wanted)
	for _, o := range found {
		if o.broken != brokenJunk {
			return found, err
		}
	}
	if err == nil && len(found) > 0 {
		err = junk{errors.New("no card in it makes sense")}
	}
	return nil, err
}

func (c *Client) fewer(ctx context.Context, book Book, wanted []listed) ([]object, error) {
	found, err := c.multiget(ctx, book, wanted)
	_, isJunk := errors.AsType[junk](err)
	switch {
	case !isJunk && !errors.Is(err, errTooLarge):
		return found, err
	case len(wanted) == 1 && isJunk:
		return []object{{listed: wanted[0], broken: brokenJunk}}, nil
	case len(wanted) == 1:
		return []object{{listed: wanted[0], broken: brokenSize}}, nil
	}
	half := len(wanted) / 2
	one, err := c.fewer(ctx, book, wanted[:half])
	if err != nil {
		return nil, err
	}
	other, err := c.fewer(ctx, book, wanted[half:])
	return append(one, other...), err
}

// multiget asks once (RFC 6352, 8.7).
func (c *Client) multiget(ctx context.Context, book Book, wanted []listed) ([]object, error) {
	var question strings.Builder
	question.WriteString(xmlHead + `<c:addressbook-multiget xmlns="DAV:" xmlns:c="urn:ietf:params:xml:ns:carddav"><prop><getetag/><c:address-data/></prop>`)
	missing := make(map[string]listed, len(wanted))
	for _, w := range wanted {
		question.WriteString(`<href>` + escaped(pathOf(w.path)) + `</href>`)
		missing[w.path] = w
	}
	question.WriteString(`</c:addressbook-multiget>`)
	var found []object
	_, err := c.ask(ctx, "REPORT", pathOf(book.Path), "1", question.String(), func(e entry) error {
		card, ok := missing[e.path]
		delete(missing, e.path)
		switch {
		case !ok || e.status == http.StatusNotFound || e.status == http.StatusGone:
			return nil
		case e.status != http.StatusOK:
			return status(e.status)
		}
		if tag := tagOf(e); tag != "" {
			card.etag = tag // of what is read here, which may be newer
		}
		found = append(found, object{listed: card, text: e.card})
		return nil
	})
	return found, err
}
