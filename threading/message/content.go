package message

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"html"
	"slices"
	"strings"

	"golang.org/x/net/html/charset"
)

// segment is a piece of what is shown: text, HTML, or both where the sender
// gave a choice. The HTML stays in the pages that it came as: a comment or a
// script that one of them leaves open must not swallow the next.
type segment struct {
	text  string
	pages []string
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// renderer walks over the tree and sorts its leaves into what is shown and
// what is attached.
type renderer struct {
	m     *Message
	shown int // text leaves so far
}

// render fills Text, HTML and Attachments from the tree.
func (m *Message) render(root *part) {
	r := renderer{m: m}
	segments := r.node(root, false)
	m.Text, m.HTML = r.joined(segments)
	m.markInline()
}

// node returns what p shows. related tells that p stands beside the root of a
// multipart/related, where parts with a Content-ID belong to the HTML.
func (r *renderer) node(p *part, related bool) []segment {
	if len(p.children) == 0 {
		return r.leaf(p, related)
	}
	switch p.ctype.value {
	case "multipart/alternative":
		return r.alternative(p)
	case "multipart/related":
		var out []segment
		for i, c := range p.children {
			out = append(out, r.node(c, i > 0)...)
		}
		return out
	}
	var out []segment
	for _, c := range p.children {
		out = append(out, r.node(c, false)...)
	}
	return out
}

// alternative shows the plain text of the plain version and the HTML of the
// richest one, which is the last (RFC 2046, 5.1.4).
func (r *renderer) alternative(p *part) []segment {
	var merged segment
	var plain []string
	for _, c := range p.children {
		segments := r.node(c, false)
		text := ""
		for _, s := range segments {
			text = joinText(text, s.text)
		}
		if pages := allPages(segments); len(pages) > 0 {
			merged.pages = pages
		}
		if !blank(text) && !slices.Contains(plain, text) {
			plain = append(plain, text)
		}
	}
	merged.text = strings.Join(plain, "\n\n")
	if merged.text == "" && merged.pages == nil {
		return nil
	}
	return []segment{merged}
}

// allPages is what the segments show as HTML: nil when none of them has any,
// else text alone is put into markup beside its neighbours.
func allPages(segments []segment) []string {
	if !slices.ContainsFunc(segments, func(s segment) bool { return len(s.pages) > 0 }) {
		return nil
	}
	var pages []string
	for _, s := range segments {
		switch {
		case len(s.pages) > 0:
			pages = append(pages, s.pages...)
		case !blank(s.text):
			pages = append(pages, `<div style="white-space:pre-wrap">`+html.EscapeString(s.text)+"</div>")
		}
	}
	return pages
}

func joinText(a, b string) string {
	switch {
	case blank(a):
		return b
	case blank(b):
		return a
	}
	return strings.TrimRight(a, "\n") + "\n\n" + b
}

// joined makes the final text and HTML out of all segments.
func (r *renderer) joined(segments []segment) (text, markup string) {
	var pieces []string
	add := func(piece string) {
		if !blank(piece) {
			pieces = append(pieces, strings.Trim(piece, "\n"))
		}
	}
	for _, s := range segments {
		if !blank(s.text) {
			add(s.text)
			continue
		}
		for _, page := range s.pages {
			add(TextFromHTML(r.bounded(page, "html_cut")))
		}
	}
	return r.bounded(Clean(strings.Join(pieces, "\n\n")), "text_cut"), r.sanitized(allPages(segments))
}

// sanitized is all pages, as far as there is room.
func (r *renderer) sanitized(pages []string) string {
	var out strings.Builder
	for _, page := range pages {
		safe := SanitizeHTML(r.bounded(page, "html_cut"))
		if out.Len()+len(safe) > maxTextBytes {
			r.m.defect("html_cut")
			break
		}
		out.WriteString(safe)
	}
	return out.String()
}

func (r *renderer) bounded(s, defect string) string {
	if len(s) > maxTextBytes {
		r.m.defect(defect)
		return cut(s, maxTextBytes)
	}
	return s
}

// leaf shows a text or attaches what is none.
func (r *renderer) leaf(p *part, related bool) []segment {
	mediaType := p.mediaType()
	if p.multipart() {
		return r.brokenMultipart(p)
	}
	data, defect := decodeTransfer(p.body, p.encoding)
	if defect != "" {
		r.m.defect(defect + " " + mediaType)
	}
	name, ambiguous := p.fileName()
	if ambiguous {
		r.m.defect("mime_ambiguous")
	}
	if !r.isShown(p, mediaType, name, related) {
		r.attach(p, mediaType, name, data)
		return nil
	}
	r.shown++
	text := r.text(p, data)
	if mediaType == "text/html" || mediaType == "application/xhtml+xml" {
		return []segment{{pages: []string{text}}}
	}
	return []segment{{text: r.plain(p, text)}}
}

// brokenMultipart shows what should have had parts and has none as text, and
// attaches it where it is encoded.
func (r *renderer) brokenMultipart(p *part) []segment {
	r.m.defect("multipart_without_parts")
	switch p.encoding {
	case "base64", "uuencode", "quoted-printable":
		data, _ := decodeTransfer(p.body, p.encoding)
		r.attach(p, "application/octet-stream", "", data)
		return nil
	}
	if p.depth >= maxDepth {
		r.attach(p, "application/octet-stream", "", p.body)
		return nil
	}
	text := r.text(p, p.body)
	if blank(text) {
		return nil
	}
	r.shown++
	return []segment{{text: newlines(text)}}
}

// isShown decides between body and attachment. A text that asks to be an
// attachment is one; one with a name is one unless it is all the text there is.
func (r *renderer) isShown(p *part, mediaType, name string, related bool) bool {
	switch p.disp.value {
	case "", "inline":
	default:
		return false
	}
	if related && p.cid != "" {
		return false
	}
	switch mediaType {
	case "text/plain", "text/html", "application/xhtml+xml":
		return name == "" || r.shown == 0
	case "text/enriched", "text/richtext", "text/markdown", "text/x-markdown", "text/english", "text/unknown", "text/ascii":
		return name == ""
	}
	return false
}

// text decodes the charset of a text part.
func (r *renderer) text(p *part, data []byte) string {
	name := p.ctype.word("charset")
	if name == "" && p.mediaType() == "text/html" {
		name = metaCharset(data)
	}
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		data, name = data[3:], "utf-8"
	}
	if len(data) > 4*maxTextBytes {
		data = data[:4*maxTextBytes] // no charset needs more for what is kept
	}
	text, known := decodeText(data, name)
	if !known {
		r.m.defect("charset_unknown " + name)
	}
	return text
}

// metaCharset finds what an HTML page says of itself in its first 1024 octets.
func metaCharset(data []byte) string {
	head := data[:min(len(data), 1024)]
	if !bytes.Contains(bytes.ToLower(head), []byte("charset")) {
		return ""
	}
	_, name, sure := charset.DetermineEncoding(head, "")
	if !sure && name == "windows-1252" {
		return ""
	}
	return name
}

// plain brings a text part into its final form.
func (r *renderer) plain(p *part, text string) string {
	text = newlines(text)
	if strings.EqualFold(p.ctype.word("format"), "flowed") {
		text = unflow(text, strings.EqualFold(p.ctype.word("delsp"), "yes"))
	}
	return r.takeUU(text)
}

// takeUU attaches files that stand uuencoded in the text.
func (r *renderer) takeUU(text string) string {
	if !strings.Contains(text, "begin ") {
		return text
	}
	for range 20 {
		start := strings.Index(text, "\nbegin ") + 1
		if start == 0 && !strings.HasPrefix(text, "begin ") {
			break
		}
		end := strings.Index(text[start:], "\nend")
		if end < 0 {
			break
		}
		name, data, ok := decodeUU([]byte(text[start : start+end]))
		if !ok || len(data) == 0 {
			break
		}
		r.attach(&part{}, "application/octet-stream", safeName(DecodeHeader(name)), data)
		text = text[:start] + strings.TrimPrefix(text[start+end+len("\nend"):], "\n")
	}
	return text
}

// attach adds an attachment.
func (r *renderer) attach(p *part, mediaType, name string, data []byte) {
	if name == "" {
		name = defaultName(mediaType, data)
	}
	sum := sha256.Sum256(data)
	r.m.Attachments = append(r.m.Attachments, Attachment{
		Name: name, Type: mediaType, Size: len(data), SHA256: hex.EncodeToString(sum[:]),
		Inline:    p.disp.value == "inline" || p.disp.value == "" && p.cid != "",
		ContentID: p.cid, Data: data,
	})
}

// markInline marks what the HTML shows, whatever its disposition says.
func (m *Message) markInline() {
	if !strings.Contains(m.HTML, "cid:") {
		return
	}
	shown := map[string]bool{}
	for rest := m.HTML; ; {
		i := strings.Index(rest, `"cid:`)
		if i < 0 {
			break
		}
		rest = rest[i+len(`"cid:`):]
		if end := strings.IndexByte(rest, '"'); end >= 0 {
			shown[html.UnescapeString(rest[:end])] = true
			rest = rest[end:]
		}
	}
	for i := range m.Attachments {
		a := &m.Attachments[i]
		a.Inline = a.Inline || a.ContentID != "" && shown[a.ContentID]
	}
}

// newlines makes every line end LF.
func newlines(s string) string {
	if strings.IndexByte(s, '\r') < 0 {
		return s
	}
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.ReplaceAll(s, "\r", "\n")
}

// unflow joins the soft-broken lines of format=flowed (RFC 3676, 4). Lines of
// different quote depth are never joined; "-- " is no soft break.
func unflow(s string, delSp bool) string {
	var out strings.Builder
	out.Grow(len(s))
	open := -1 // quote depth of the line that is still open
	for line := range strings.SplitSeq(s, "\n") {
		depth := 0
		for depth < len(line) && line[depth] == '>' {
			depth++
		}
		text := strings.TrimPrefix(line[depth:], " ")
		if open >= 0 && (open != depth || text == "-- " || text == "") {
			out.WriteByte('\n')
			open = -1
		}
		if open < 0 && depth > 0 {
			out.WriteString(line[:depth])
			if text != "" {
				out.WriteByte(' ')
			}
		}
		if soft := strings.HasSuffix(text, " ") && text != "-- "; soft {
			if delSp {
				text = text[:len(text)-1]
			}
			out.WriteString(text)
			open = depth
			continue
		}
		out.WriteString(text)
		out.WriteByte('\n')
		open = -1
	}
	return strings.TrimSuffix(out.String(), "\n")
}
