package outbound

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"html"
	"mime"
	"mime/quotedprintable"
	"net/url"
	"strconv"
	"strings"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// part is one node of the MIME tree.
type part struct {
	fields string // its header fields, each with CRLF
	body   []byte // ends with CRLF
}

func (p part) bytes() []byte {
	return append([]byte(p.fields+"\r\n"), p.body...)
}

// builder makes the parts of one message.
type builder struct {
	messageID  string
	boundaries int
	blob       func(context.Context, string) ([]byte, error)
}

// bodyOf gives the whole body of m: alternative(text, related(html, images)),
// inside mixed where files are attached.
func bodyOf(ctx context.Context, m store.Mail, blob func(context.Context, string) ([]byte, error)) (part, error) {
	b := &builder{messageID: m.MessageID, blob: blob}
	text, htmlText := bothTexts(m)
	images, files, err := b.files(ctx, m.Parts, htmlText)
	if err != nil {
		return part{}, err
	}
	body := textPart("text/plain", text)
	if htmlText != "" {
		shown := textPart("text/html", htmlText)
		if len(images) > 0 {
			shown = b.multipart(`multipart/related; type="text/html"`, append([]part{shown}, images...))
		}
		body = b.multipart("multipart/alternative", []part{body, shown})
	}
	if len(files) > 0 {
		body = b.multipart("multipart/mixed", append([]part{body}, files...))
	}
	return body, nil
}

// bothTexts gives the two forms of a mail's text. A person's answer has both,
// whichever was written; a machine's mail may be plain text alone.
func bothTexts(m store.Mail) (text, htmlText string) {
	text, htmlText = m.Text, m.HTML
	if htmlText == "" && m.Kind == store.MailAnswer {
		htmlText = htmlFromText(text)
	}
	if text == "" && htmlText != "" {
		text = message.TextFromHTML(htmlText)
	}
	return text, htmlText
}

// htmlFromText shows plain text as it is.
func htmlFromText(text string) string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	return `<!DOCTYPE html><html><head><meta charset="utf-8"></head><body><div style="white-space: pre-wrap">` +
		html.EscapeString(text) + "</div></body></html>\n"
}

// files reads what is attached, and tells the images that the HTML shows by
// their content id from the rest.
func (b *builder) files(ctx context.Context, list []store.MailPart, htmlText string) (images, files []part, err error) {
	for _, f := range list {
		inline := f.ContentID != "" && htmlText != "" && (f.Inline || strings.Contains(htmlText, "cid:"+f.ContentID))
		p, err := b.file(ctx, f, inline)
		if err != nil {
			return nil, nil, err
		}
		if inline {
			images = append(images, p)
		} else {
			files = append(files, p)
		}
	}
	return images, files, nil
}

// file makes the part of one file: base64, its name after RFC 2231.
func (b *builder) file(ctx context.Context, f store.MailPart, inline bool) (part, error) {
	h := &header{}
	if !h.clean("attachment name", f.Name) || !h.clean("attachment type", f.Type) {
		return part{}, h.err
	}
	disposition := "attachment"
	if inline {
		disposition = "inline"
	}
	h.tokens("Content-Type", []string{fileType(f.Type)})
	h.tokens("Content-Transfer-Encoding", []string{"base64"})
	h.tokens("Content-Disposition", strings.Split(strings.Join(append([]string{disposition}, nameParams("filename", f.Name)...), ";\n"), "\n"))
	h.contentID(f.ContentID)
	if h.err != nil {
		return part{}, h.err
	}
	data, err := b.blob(ctx, f.Hash)
	if err != nil {
		return part{}, err
	}
	return part{fields: h.buf.String(), body: base64Lines(data)}, nil
}

func (h *header) contentID(id string) {
	if id == "" || !h.clean("Content-ID", id) {
		return
	}
	if !sendableID(id) {
		h.fail("Content-ID", "is none")
		return
	}
	h.tokens("Content-ID", []string{"<" + id + ">"})
}

// fileType is the media type that a file goes by. Types with a meaning for the
// message's own structure would have to be written unencoded (RFC 2046, 5.2.1).
func fileType(typed string) string {
	t, params, err := mime.ParseMediaType(typed)
	top, sub, _ := strings.Cut(t, "/")
	if err != nil || !isToken(top) || !isToken(sub) || len(t) > 127 || top == "multipart" || top == "message" {
		return "application/octet-stream"
	}
	if charset := params["charset"]; top == "text" && isToken(charset) && len(charset) < 40 {
		return t + "; charset=" + charset
	}
	return t
}

// isToken tells a token of RFC 2045, 5.1.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' || strings.IndexByte(`()<>@,;:\"/[]?=`, s[i]) >= 0 {
			return false
		}
	}
	return s != ""
}

// nameParams writes a file name as a parameter: a quoted string where it is
// short and plain, else percent-encoded UTF-8 in as many sections as it takes
// (RFC 2231, 3 and 4).
func nameParams(param, name string) []string {
	if name == "" {
		return nil
	}
	if len(name) <= 50 && plainText(name) && !strings.ContainsAny(name, `"\%`) {
		return []string{param + `="` + name + `"`}
	}
	sections := percentSections(name, 50)
	if len(sections) == 1 {
		return []string{param + "*=utf-8''" + sections[0]}
	}
	out := make([]string, len(sections))
	for i, section := range sections {
		out[i] = param + "*" + strconv.Itoa(i) + "*="
		if i == 0 {
			out[i] += "utf-8''"
		}
		out[i] += section
	}
	return out
}

// percentSections percent-encodes name in sections of about size octets.
func percentSections(name string, size int) []string {
	var sections []string
	var section strings.Builder
	for _, r := range name {
		if section.Len() >= size {
			sections = append(sections, section.String())
			section.Reset()
		}
		// Escapes all but letters, digits and -_.~, which is within
		// attribute-char, but for the blank.
		section.WriteString(strings.ReplaceAll(url.QueryEscape(string(r)), "+", "%20"))
	}
	return append(sections, section.String())
}

// textPart writes text as quoted-printable, which no relay has a reason to
// touch.
func textPart(mediaType, text string) part {
	text = strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n").Replace(strings.ToValidUTF8(text, "\ufffd"))
	var body bytes.Buffer
	w := quotedprintable.NewWriter(&body)
	_, _ = w.Write([]byte(text)) // into memory
	_ = w.Close()
	if !bytes.HasSuffix(body.Bytes(), []byte("\r\n")) {
		body.WriteString("\r\n")
	}
	return part{
		fields: "Content-Type: " + mediaType + "; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n",
		body:   body.Bytes(),
	}
}

func base64Lines(data []byte) []byte {
	const perLine = 57 // 76 characters
	out := make([]byte, 0, len(data)/perLine*78+80)
	for len(data) > 0 {
		n := min(perLine, len(data))
		out = base64.StdEncoding.AppendEncode(out, data[:n])
		out = append(out, "\r\n"...)
		data = data[n:]
	}
	if len(out) == 0 {
		return []byte("\r\n")
	}
	return out
}

// multipart joins parts. The boundary comes from the Message-ID, so that each
// attempt writes the same bytes; "=_" stands in neither quoted-printable nor
// base64 text, so no content can hold it.
func (b *builder) multipart(mediaType string, parts []part) part {
	b.boundaries++
	sum := sha256.Sum256([]byte(strconv.Itoa(b.boundaries) + " " + b.messageID))
	boundary := "=_" + hex.EncodeToString(sum[:12])
	var body bytes.Buffer
	for _, p := range parts {
		body.WriteString("--" + boundary + "\r\n" + p.fields + "\r\n")
		body.Write(p.body)
		body.WriteString("\r\n")
	}
	body.WriteString("--" + boundary + "--\r\n")
	return part{
		fields: "Content-Type: " + mediaType + ";\r\n boundary=\"" + boundary + "\"\r\n",
		body:   body.Bytes(),
	}
}
