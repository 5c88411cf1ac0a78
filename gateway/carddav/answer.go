package carddav

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"ticketgate/threading/message"
)

// status is an answer that is a refusal.
type status int

func (s status) Error() string { return fmt.Sprintf("status %d", int(s)) }

// junk is an answer that is no multistatus (RFC 4918, 13).
type junk struct{ err error }

func (j junk) Error() string { return "the answer can't be read: " + j.err.Error() }

func (j junk) Unwrap() error { return j.err }

// entry is what an answer says of one path.
type entry struct {
	path       string // decoded
	status     int    // 200, or why nothing else is said
	etag       string
	syncToken  string
	ctag       string
	book       bool
	collection bool
	card       []byte
}

// ask makes a request whose answer is a multistatus, and calls take for each of
// its entries as they come, so that never all of them stand in memory. token is
// the sync-token of all. Errors: status, junk, errTooLarge, those of the
// connection and of take.
func (c *Client) ask(ctx context.Context, method, path, depth, body string, take func(entry) error) (token string, err error) {
	request, err := http.NewRequestWithContext(ctx, method, c.Origin()+path, strings.NewReader(body))
	if err != nil {
		return "", errors.New("the path can't be asked for")
	}
	request.Header.Set("Content-Type", "application/xml; charset=utf-8")
	if depth != "" {
		request.Header.Set("Depth", depth)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusMultiStatus {
		return "", status(response.StatusCode)
	}
	return c.read(response.Body, take)
}

// read takes a multistatus apart.
func (c *Client) read(body io.Reader, take func(entry) error) (token string, err error) {
	source := &noted{from: legal{body}}
	d := xml.NewTokenDecoder(&shallow{from: xml.NewDecoder(source)})
	fail := func(err error) error {
		if source.err != nil { // the connection, or the bound
			return withoutURL(source.err)
		}
		return junk{err}
	}
	begun := false
	for {
		t, err := d.Token()
		if err != nil {
			return "", fail(err)
		}
		e, isStart := t.(xml.StartElement)
		if _, isEnd := t.(xml.EndElement); isEnd {
			return token, nil
		}
		switch {
		case !isStart:
		case !begun:
			if e.Name != (xml.Name{Space: "DAV:", Local: "multistatus"}) {
				return "", junk{errors.New("it is no multistatus")}
			}
			begun = true
		case e.Name == xml.Name{Space: "DAV:", Local: "response"}:
			var one xmlResponse
			if err := d.DecodeElement(&one, &e); err != nil {
				return "", fail(err)
			}
			if err := c.takeAll(one, take); err != nil {
				return "", err
			}
		case e.Name == xml.Name{Space: "DAV:", Local: "sync-token"}:
			err = d.DecodeElement(&token, &e)
		default:
			err = d.Skip()
		}
		if err != nil {
			return "", fail(err)
		}
	}
}

type xmlResponse struct {
	Hrefs     []string `xml:"DAV: href"`
	Status    string   `xml:"DAV: status"`
	Propstats []struct {
		Status string  `xml:"DAV: status"`
		Prop   xmlProp `xml:"DAV: prop"`
	} `xml:"DAV: propstat"`
}

type xmlProp struct {
	ETag string `xml:"DAV: getetag"`
	Sync string `xml:"DAV: sync-token"`
	CTag string `xml:"http://calendarserver.org/ns/ getctag"`
	Card []byte `xml:"urn:ietf:params:xml:ns:carddav address-data"`
	Type struct {
		Book       *struct{} `xml:"urn:ietf:params:xml:ns:carddav addressbook"`
		Collection *struct{} `xml:"DAV: collection"`
	} `xml:"DAV: resourcetype"`
}

// takeAll hands on what a response says. Paths of other servers are passed over.
func (c *Client) takeAll(r xmlResponse, take func(entry) error) error {
	e := entry{status: statusOf(r.Status)}
	for _, p := range r.Propstats {
		if statusOf(p.Status)/100 != 2 {
			continue
		}
		e.etag, e.syncToken, e.ctag = first(e.etag, p.Prop.ETag), first(e.syncToken, p.Prop.Sync), first(e.ctag, p.Prop.CTag)
		if len(p.Prop.Card) > 0 {
			e.card = p.Prop.Card
		}
		e.book = e.book || p.Prop.Type.Book != nil
		e.collection = e.collection || p.Prop.Type.Collection != nil
	}
	for _, href := range r.Hrefs {
		u, err := url.Parse(strings.TrimSpace(href))
		if err != nil || u.Host != "" && u.Host != c.root.Host || !usable(u.Path) {
			continue
		}
		e.path = u.Path
		if err := take(e); err != nil {
			return err
		}
	}
	return nil
}

// statusOf reads "HTTP/1.1 404 Not Found"; nothing is as good as 200.
func statusOf(line string) int {
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return http.StatusOK
	}
	if len(fields) > 1 {
		if n, err := strconv.Atoi(fields[1]); err == nil {
			return n
		}
	}
	return http.StatusInternalServerError
}

// first gives the first text that can be remembered.
func first(texts ...string) string {
	for _, text := range texts {
		if text = strings.TrimSpace(text); text != "" && plain(text) {
			return text
		}
	}
	return ""
}

func plain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// legal puts a space for each control character that XML does not allow: cards
// that were typed into old programs hold some.
type legal struct{ from io.Reader }

func (l legal) Read(p []byte) (int, error) {
	n, err := l.from.Read(p)
	for i, b := range p[:n] {
		if b < ' ' && b != '\t' && b != '\n' && b != '\r' {
			p[i] = ' '
		}
	}
	return n, err
}

// shallow hands on tokens as long as they do not nest too deep: each open element
// takes much more room in a decoder than in an answer.
type shallow struct {
	from  *xml.Decoder
	depth int
}

// Token gives the next token (xml.TokenReader).
func (s *shallow) Token() (xml.Token, error) {
	t, err := s.from.RawToken()
	switch t.(type) {
	case xml.StartElement:
		if s.depth++; s.depth > maxDepth {
			return nil, errors.New("it is nested too deep")
		}
	case xml.EndElement:
		s.depth--
	}
	return t, err
}

// noted remembers an error of reading: the decoder wraps or hides some.
type noted struct {
	from io.Reader
	err  error
}

func (r *noted) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// tame gives an error of go-webdav's, which may hold what the server wrote, as
// something that can be printed.
func tame(err error) error {
	if errors.Is(err, errTooLarge) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	text := []rune(message.CleanLine(strings.ToValidUTF8(err.Error(), "?")))
	return errors.New(string(text[:min(len(text), maxReason)]))
}

// escaped writes a text into XML.
func escaped(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a buffer takes all
	return b.String()
}
