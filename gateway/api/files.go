package api

import (
	"bytes"
	"context"
	"mime"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"ticketgate/gateway/verify"
	"ticketgate/store"
)

func (a *api) registerFiles() {
	add(a, route{id: "get-activity-raw", method: http.MethodGet, path: activityPath + "/raw", tag: tagDesk,
		find: a.findRaw, serves: "message/rfc822", summary: "The stored message as it came in, below our own trace fields"}, a.activityRaw)
	add(a, route{id: "get-attachment", method: http.MethodGet, path: activityPath + "/attachments/{file}", tag: tagDesk,
		find: a.findContent, summary: "A file of an activity"}, a.attachment)
}

// download is an answer of bytes. Nothing that came by mail may run in a page
// of ours: it is saved, not shown, its type is not guessed by the browser, and
// what shows it all the same has no rights.
type download struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Policy      string `header:"Content-Security-Policy"`
	Length      string `header:"Content-Length"`
	Body        []byte
}

// downloadResponse describes a download.
func downloadResponse(r route) *huma.Response {
	media := r.serves
	if media == "" {
		media = "*/*"
	}
	return &huma.Response{
		Description: "the bytes, to be saved",
		Content:     map[string]*huma.MediaType{media: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
	}
}

const sandbox = "sandbox; default-src 'none'"

func newDownload(media, name string, inline bool, body []byte) *download {
	disposition := "attachment"
	if inline {
		disposition = "inline"
	}
	return &download{
		ContentType: media, Disposition: contentDisposition(disposition, name), Policy: sandbox,
		Length: strconv.Itoa(len(body)), Body: body,
	}
}

// contentDisposition names the file in ASCII and, where that is not enough, in
// RFC 8187 form, which mime.FormatMediaType writes.
func contentDisposition(disposition, name string) string {
	if value := mime.FormatMediaType(disposition, map[string]string{"filename": name}); value != "" {
		return value
	}
	return disposition
}

func (a *api) activityRaw(ctx context.Context, c *call, _ *OnActivity) (*download, error) {
	if c.entry.RawHash == "" {
		return a.composedRaw(ctx, c)
	}
	raw, err := a.DB.Blob(ctx, c.entry.RawHash)
	if err != nil {
		return nil, err
	}
	return a.rawMail(c.entry.Trace, raw, c.entry.ID), nil
}

// composedRaw is the message of an answer. Its bytes follow from what the ledger
// keeps, so they are made anew and not stored.
func (a *api) composedRaw(ctx context.Context, c *call) (*download, error) {
	if a.Composed == nil || c.entry.Type != store.TypeOutgoing || c.entry.MessageID == "" {
		return nil, notFound()
	}
	raw, err := a.Composed(ctx, c.entry.ID)
	if err != nil {
		return nil, err
	}
	return a.rawMail("", raw, c.entry.ID), nil
}

// rawMail is a stored message with the header fields that we put before it. The
// bytes are kept as they came; results that somebody forged under our name are
// left out here, so that a reader finds one of ours alone (RFC 8601, 5).
func (a *api) rawMail(trace string, raw []byte, id string) *download {
	return newDownload("message/rfc822", id+".eml", false, append([]byte(trace), verify.Strip(raw, a.Hostname)...))
}

type attachmentInput struct {
	OnActivity
	File   string `path:"file" doc:"the attachment's id"`
	Inline string `query:"inline" enum:"0,1" doc:"1: show a PNG, JPEG, GIF or WebP in the page"`
}

func (a *api) attachment(ctx context.Context, c *call, in *attachmentInput) (*download, error) {
	file, err := view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (store.Attachment, error) {
		return tx.Attachment(ctx, c.entry.ID, in.File)
	})
	if err != nil {
		return nil, err
	}
	if file.Hidden && !c.admin() {
		return nil, notFound()
	}
	body, err := a.DB.Blob(ctx, file.Hash)
	if err != nil {
		return nil, err
	}
	picture := sniffed(body)
	if in.Inline == "1" && picture != "" {
		return newDownload(picture, file.Name, true, body), nil
	}
	return newDownload(servedType(file.Type), file.Name, false, body), nil
}

// sniffed gives the type of the four kinds of picture that a page may show, by
// their first bytes and not by what the mail said, or "".
func sniffed(body []byte) string {
	switch {
	case bytes.HasPrefix(body, []byte("\x89PNG\r\n\x1a\n")):
		return "image/png"
	case bytes.HasPrefix(body, []byte("\xff\xd8\xff")):
		return "image/jpeg"
	case bytes.HasPrefix(body, []byte("GIF87a")), bytes.HasPrefix(body, []byte("GIF89a")):
		return "image/gif"
	case len(body) >= 12 && string(body[:4]) == "RIFF" && string(body[8:12]) == "WEBP":
		return "image/webp"
	}
	return ""
}

// servedType is what the mail said, where that is a type at all. The sandbox
// and the disposition keep any of them from running.
func servedType(claimed string) string {
	media, params, err := mime.ParseMediaType(claimed)
	if err != nil {
		return "application/octet-stream"
	}
	if charset, ok := params["charset"]; ok {
		params = map[string]string{"charset": charset}
	} else {
		params = nil
	}
	if value := mime.FormatMediaType(media, params); value != "" {
		return value
	}
	return "application/octet-stream"
}
