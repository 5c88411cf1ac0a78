package cards

import (
	"bytes"
	"io"
	"mime/quotedprintable"
	"strings"

	"golang.org/x/text/encoding/htmlindex"
)

// plainVCard brings what vCard 2.1 writes in its own way into the form of 3.0:
// parameters without a name, quoted-printable values that go on behind a soft
// break, and charsets.
func plainVCard(raw []byte) []byte {
	lines := strings.Split(string(raw), "\r\n")
	var out bytes.Buffer
	for i := 0; i < len(lines); i++ {
		head, value, ok := cutValue(lines[i])
		if !ok {
			out.WriteString(lines[i] + "\r\n")
			continue
		}
		name, params := namedParams(head)
		if strings.EqualFold(params["ENCODING"], "quoted-printable") {
			for strings.HasSuffix(value, "=") && i+1 < len(lines) {
				i++
				value = strings.TrimSuffix(value, "=") + lines[i]
			}
			value = unquoted(value, params["CHARSET"])
			out.WriteString(head3(name, head) + ":" + value + "\r\n")
			continue
		}
		if charset := params["CHARSET"]; charset != "" {
			value = decoded(value, charset)
		}
		out.WriteString(head3(name, head) + ":" + value + "\r\n")
	}
	return out.Bytes()
}

// cutValue parts a line at the colon that is not in quotes. A folded line has
// none.
func cutValue(line string) (head, value string, ok bool) {
	if line == "" || line[0] == ' ' || line[0] == '\t' {
		return "", "", false
	}
	quoted := false
	for i := range len(line) {
		switch line[i] {
		case '"':
			quoted = !quoted
		case ':':
			if !quoted {
				return line[:i], line[i+1:], true
			}
		}
	}
	return "", "", false
}

// encodings are the words that 2.1 writes without ENCODING=.
var encodings = map[string]bool{"QUOTED-PRINTABLE": true, "BASE64": true, "8BIT": true, "7BIT": true}

// namedParams gives the name of a field, and the parameters that say how its
// value is written.
func namedParams(head string) (name string, params map[string]string) {
	all := strings.Split(head, ";")
	params = map[string]string{}
	for _, p := range all[1:] {
		key, value, named := strings.Cut(p, "=")
		if upper := strings.ToUpper(p); !named && encodings[upper] {
			key, value = "ENCODING", upper
		}
		params[strings.ToUpper(key)] = value
	}
	return all[0], params
}

// head3 writes name and parameters with TYPE= before what has no name, and
// without those that say how the value was written.
func head3(name, head string) string {
	if strings.Contains(head, `"`) { // 2.1 knows no quotes
		return head
	}
	for _, p := range strings.Split(head, ";")[1:] {
		key, _, named := strings.Cut(strings.ToUpper(p), "=")
		switch {
		case encodings[key], key == "ENCODING", key == "CHARSET":
			continue
		case !named:
			p = "TYPE=" + p
		}
		name += ";" + p
	}
	return name
}

// unquoted decodes quoted-printable (RFC 2045, 6.7). Line breaks become \n, as
// 3.0 writes them; what is wrong stays as it is.
func unquoted(value, charset string) string {
	plain, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(value)))
	if err != nil {
		return value
	}
	text := decoded(string(plain), charset)
	return strings.NewReplacer("\r\n", `\n`, "\n", `\n`, "\r", `\n`).Replace(text)
}

// decoded makes UTF-8 of a text in another charset, if that is known.
func decoded(text, charset string) string {
	if charset == "" {
		return text
	}
	encoding, err := htmlindex.Get(charset)
	if err != nil {
		return text
	}
	if plain, err := encoding.NewDecoder().String(text); err == nil {
		return plain
	}
	return text
}
