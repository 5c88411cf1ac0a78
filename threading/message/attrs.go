package message

import (
	"net/url"
	"strings"

	"golang.org/x/net/html/atom"
	"golang.org/x/net/idna"
)

// Bounds of attribute values.
const (
	maxURLBytes     = 8 << 10
	maxDataURLBytes = 128 << 10
	maxAttrBytes    = 2 << 10
)

// attrWriter writes the attributes of one tag, each key once.
type attrWriter struct {
	b    []byte
	seen uint64 // keys that came, by their index
	src  bool   // a picture or a link has an address
}

func (a *attrWriter) reset() { a.b, a.seen, a.src = a.b[:0], 0, false }

// add writes the attribute if tag may have it and its value is harmless.
// Values come in without character references.
func (a *attrWriter) add(tag atom.Atom, key, value []byte) {
	kind, ok := attributes[string(key)]
	if !ok || a.seen&(1<<kind.index) != 0 {
		return // of two the first one counts, as in browsers
	}
	a.seen |= 1 << kind.index
	val := string(value)
	switch kind.index {
	case attrStyle:
		if val = cleanStyle(val); val != "" {
			a.write("style", val)
		}
	case attrHref:
		if tag != atom.A {
			return
		}
		if val = linkURL(val); val != "" {
			a.write("href", val)
			a.src = true
		}
	case attrSrc, attrRemote:
		if tag == atom.Img && !a.src {
			a.picture(val)
		}
	case attrTitle:
		a.write("title", CleanLine(cut(val, maxAttrBytes)))
	case attrAlt:
		if tag == atom.Img {
			a.write("alt", CleanLine(cut(val, maxAttrBytes)))
		}
	default:
		if kind.check(val) {
			a.write(kind.name, val)
		}
	}
}

// picture keeps the address of an embedded picture and moves that of a remote
// one to where no browser loads it from.
func (a *attrWriter) picture(val string) {
	val = trimURL(val)
	lower := strings.ToLower(val[:min(len(val), 32)])
	switch {
	case strings.HasPrefix(lower, "cid:") && len(val) <= maxIDLen:
		a.write("src", "cid:"+val[4:])
	case isDataPicture(lower) && len(val) <= maxDataURLBytes && isBase64Text(val[strings.IndexByte(val, ',')+1:]):
		a.write("src", val)
	case strings.HasPrefix(lower, "//"):
		a.remote("https:" + val)
	case strings.HasPrefix(lower, "http:"), strings.HasPrefix(lower, "https:"):
		a.remote(val)
	default:
		return
	}
}

func (a *attrWriter) remote(val string) {
	if val = linkURL(val); val != "" {
		a.write("data-remote-src", val)
	}
}

func isDataPicture(lower string) bool {
	for _, t := range [...]string{"png", "jpeg", "jpg", "gif", "webp"} {
		if strings.HasPrefix(lower, "data:image/"+t+";base64,") {
			return true
		}
	}
	return false
}

func isBase64Text(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isBase64(s[i]) && s[i] != '=' {
			return false
		}
	}
	return true
}

func (a *attrWriter) write(key, val string) {
	if key == "src" || key == "data-remote-src" {
		a.src = true
	}
	a.b = append(append(a.b, ' '), key...)
	a.b = append(append(a.b, `="`...), escapeValue(val)...)
	a.b = append(a.b, '"')
}

// escapeValue escapes a value that holds no character references.
func escapeValue(s string) string {
	if !strings.ContainsAny(s, `&<>'"`) {
		return s
	}
	return valueEscaper.Replace(s)
}

var valueEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#39;", `"`, "&#34;")

// finish adds what every link has. A link or a picture that leads nowhere is
// none: nil.
func (a *attrWriter) finish(tag atom.Atom) []byte {
	if tag == atom.A {
		if !a.src {
			return nil
		}
		a.b = append(a.b, ` target="_blank" rel="noopener noreferrer"`...)
	}
	return a.b
}

// trimURL takes off what browsers ignore in an address: blanks and controls at
// both ends, tabs and line ends anywhere (WHATWG URL, 4.4).
func trimURL(s string) string {
	s = strings.TrimFunc(Clean(s), func(r rune) bool { return r <= ' ' })
	if strings.ContainsAny(s, "\t\r\n") {
		s = strings.NewReplacer("\t", "", "\r", "", "\n", "").Replace(s)
	}
	return s
}

// linkURL returns an address that may be followed, or "". The host is written
// in A-labels, so that a look-alike shows as what it is.
func linkURL(s string) string {
	s = trimURL(s)
	plain := isPlainLine(s)
	if plain && len(s) <= maxURLBytes && isTidyURL(s) {
		return s
	}
	if len(s) > maxURLBytes || !plain && strings.ContainsFunc(s, isHidden) {
		return ""
	}
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok {
		return ""
	}
	switch scheme = strings.ToLower(scheme); scheme {
	case "mailto", "tel":
		return scheme + ":" + strings.ReplaceAll(rest, " ", "%20")
	case "http", "https":
	default:
		return ""
	}
	rest = strings.ReplaceAll(rest, `\`, "/")
	rest = scheme + "://" + strings.TrimLeft(rest, "/")
	if isPlainLine(rest) {
		return strings.ReplaceAll(rest, " ", "%20")
	}
	u, err := url.Parse(rest)
	if err != nil || u.Host == "" {
		return ""
	}
	host, err := idna.Lookup.ToASCII(u.Hostname())
	if err != nil {
		return ""
	}
	if port := u.Port(); port != "" {
		host += ":" + port
	}
	u.Host = host
	return u.String()
}

// isTidyURL tells an address that needs nothing done, the common case.
func isTidyURL(s string) bool {
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(s, "http://")
	}
	return ok && rest != "" && rest[0] != '/' && !strings.ContainsAny(rest, `\ `)
}

// attribute is what is known of a key: where it stands in attributeList, and
// what its value may be.
type attribute struct {
	index uint8
	name  string
	check func(string) bool
}

// Keys that are handled one by one; they stand first in attributeList.
const (
	attrStyle = iota
	attrHref
	attrSrc
	attrRemote
	attrTitle
	attrAlt
)

var attributeList = [...]attribute{
	{name: "style"}, {name: "href"}, {name: "src"}, {name: "data-remote-src"}, {name: "title"}, {name: "alt"},
	{name: "align", check: isWord}, {name: "valign", check: isWord}, {name: "dir", check: isWord},
	{name: "lang", check: isWord}, {name: "nowrap", check: isWord}, {name: "type", check: isWord},
	{name: "clear", check: isWord}, {name: "width", check: isLength}, {name: "height", check: isLength},
	{name: "border", check: isLength}, {name: "cellpadding", check: isLength}, {name: "cellspacing", check: isLength},
	{name: "hspace", check: isLength}, {name: "vspace", check: isLength}, {name: "colspan", check: isLength},
	{name: "rowspan", check: isLength}, {name: "span", check: isLength}, {name: "start", check: isLength},
	{name: "value", check: isLength}, {name: "size", check: isLength}, {name: "bgcolor", check: isColour},
	{name: "color", check: isColour}, {name: "face", check: isFace},
}

// attributes is attributeList by name. It is never written to.
var attributes = func() map[string]attribute {
	m := make(map[string]attribute, len(attributeList))
	for i, a := range attributeList {
		a.index = uint8(i)
		m[a.name] = a
	}
	return m
}()

func isWord(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !(c|0x20 >= 'a' && c|0x20 <= 'z' || c == '-' || c >= '0' && c <= '9') {
			return false
		}
	}
	return s != "" && len(s) <= 20
}

func isLength(s string) bool {
	s = strings.TrimSuffix(strings.TrimSuffix(s, "%"), "px")
	s = strings.TrimPrefix(s, "+")
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != "" && len(s) <= 5
}

func isColour(s string) bool { return isWord(strings.TrimPrefix(s, "#")) }

func isFace(s string) bool {
	for _, r := range s {
		if r < 128 && !isAtext(byte(r)) && r != ' ' && r != ',' {
			return false
		}
	}
	return len(s) <= 200
}
