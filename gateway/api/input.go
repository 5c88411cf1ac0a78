package api

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"ticketgate/store"
	"ticketgate/threading"
)

// mailbox is a recipient: an address, "Name <address>", or the {name, address}
// that an activity shows, so that what was read can be sent back.
type mailbox struct {
	Address string `json:"address"` // or Name <address>
}

// UnmarshalJSON takes both forms; the schema has refused others.
func (m *mailbox) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &m.Address)
	}
	var full store.Address
	if err := json.Unmarshal(b, &full); err != nil {
		return err
	}
	m.Address = full.Address
	if full.Name != "" {
		m.Address = quoted(full.Name) + " <" + full.Address + ">"
	}
	return nil
}

// Schema describes both forms.
func (mailbox) Schema(huma.Registry) *huma.Schema {
	long := 1000
	text := &huma.Schema{Type: huma.TypeString, MaxLength: &long}
	object := &huma.Schema{
		Type:                 huma.TypeObject,
		Properties:           map[string]*huma.Schema{"name": {Type: huma.TypeString, MaxLength: &long}, "address": text},
		Required:             []string{"address"},
		AdditionalProperties: false,
	}
	s := &huma.Schema{OneOf: []*huma.Schema{text, object}}
	text.PrecomputeMessages()
	object.PrecomputeMessages()
	s.PrecomputeMessages()
	return s
}

// quoted writes a name as a quoted string (RFC 5322, 3.2.4).
func quoted(name string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// typed gives recipients as they were typed; the desk checks them. Nil stays
// nil: the desk then finds out itself who is to get the answer.
func typed(list []mailbox) []string {
	if list == nil {
		return nil
	}
	plain := make([]string, 0, len(list))
	for _, m := range list {
		plain = append(plain, m.Address)
	}
	return plain
}

// fileInput is one attachment of a POST: its bytes, or the id of a file that was
// handed in before.
type fileInput struct {
	FileID    string `json:"file_id" maxLength:"64" doc:"of a POST to /files"`
	Name      string `json:"name" maxLength:"255"`
	Type      string `json:"type" maxLength:"255"`
	Content   []byte `json:"content" doc:"base64"`
	ContentID string `json:"content_id" maxLength:"255" doc:"shown in the HTML as cid:"`
}

// files checks the attachments of a POST.
func files(list []fileInput) ([]threading.File, error) {
	var out []threading.File
	for i, f := range list {
		if err := f.check(i); err != nil {
			return nil, err
		}
		out = append(out, threading.File{UploadID: f.FileID, Name: f.Name, Type: f.Type, Content: f.Content, ContentID: f.ContentID})
	}
	return out, nil
}

// Recipients are the three lists of a mail. It is exported, like all that is
// embedded in an input, because huma passes over what is not.
type Recipients struct {
	To  []mailbox `json:"to" maxItems:"1000"`
	Cc  []mailbox `json:"cc" maxItems:"1000"`
	Bcc []mailbox `json:"bcc" maxItems:"1000"`
}

// etag writes a version as an entity tag (RFC 9110, 8.8.3).
func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// ifMatch reads If-Match (RFC 9110, 13.1.1): nil where the last one wins. A tag
// that is none of ours matches no version; the desk says so in its turn.
func ifMatch(header string) *int64 {
	if header == "" || header == "*" {
		return nil
	}
	text, err := strconv.Unquote(header)
	if err != nil {
		text = header
	}
	version, err := strconv.ParseInt(text, 10, 64)
	if err != nil || version < 0 {
		version = -1
	}
	return &version
}
