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
	b    strings.Builder
	seen []string
	src  bool // a picture has an address
}

// add writes the attribute if tag may have it and its value is harmless.
// Values come in without character references.
func (a *attrWriter) add(tag atom.Atom, key, val string) {
	for _, k := range a.seen {
		if k == key {
			return // the first one counts, as in browsers
		}
	}
	a.seen = append(a.seen, key)
	switch key {
	case "style":
		if val = cleanStyle(val); val != "" {
			a.write(key, val)
		}
	case "href":
		if tag == atom.A {
			if val = linkURL(val); val != "" {
				a.write(key, val)
				a.src = true
			}
		}
	case "src", "data-remote-src":
		if tag == atom.Img && !a.src {
			a.picture(val)
		}
	case "title", "alt":
		if key == "title" || tag == atom.Img {
			a.write(key, CleanLine(cut(val, maxAttrBytes)))
		}
	default:
		if check := attributes[key]; check != nil && check(val) {
			a.write(key, val)
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
	a.b.WriteByte(' ')
	a.b.WriteString(key)
	a.b.WriteString(`="`)
	a.b.WriteString(escapeValue(val))
	a.b.WriteByte('"')
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
// none: "".
func (a *attrWriter) finish(tag atom.Atom) string {
	if tag == atom.A {
		if !a.src {
			return ""
		}
		a.b.WriteString(` target="_blank" rel="noopener noreferrer"`)
	}
	return a.b.String()
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
	if len(s) > maxURLBytes || strings.ContainsFunc(s, isHidden) {
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

// attributes are the plain attributes and what their values may be. The map is
// never written to.
var attributes = map[string]func(string) bool{
	"align": isWord, "valign": isWord, "dir": isWord, "lang": isWord, "nowrap": isWord, "type": isWord, "clear": isWord,
	"width": isLength, "height": isLength, "border": isLength, "cellpadding": isLength, "cellspacing": isLength,
	"hspace": isLength, "vspace": isLength, "colspan": isLength, "rowspan": isLength, "span": isLength,
	"start": isLength, "value": isLength, "size": isLength,
	"bgcolor": isColour, "color": isColour, "face": isFace,
}

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
