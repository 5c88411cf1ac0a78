package threading

import (
	"context"
	"encoding/base64"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// File is an attachment as an agent hands it in.
type File struct {
	UploadID  string // of a file that he handed in before; only a Name can be given it anew
	Name      string
	Type      string
	Content   []byte
	ContentID string // names it as a cid: image of the HTML
}

// content is what an agent wrote, made ready: text and HTML of each other,
// data: images turned into parts, files staged as blobs.
type content struct {
	text  string // for people and search
	html  string // sanitised, for the history
	wire  string // HTML as it goes out
	files []store.Attachment
	blobs []store.Blob
	taken []string // uploads that become attachments
	words []string // by which it is found as well
	size  int64
}

// prepare makes an agent's words ready outside of any transaction.
func (s *Service) prepare(ctx context.Context, agent *store.Agent, text, rich string, files []File) (content, error) {
	c := content{text: message.Clean(text), wire: message.Clean(rich)}
	if c.wire != "" {
		var images []File
		c.wire, images = dataImages(c.wire)
		files = append(files, images...)
		c.html = message.SanitizeHTML(c.wire)
		// what leaves is what is recorded, but that an agent's remote images load
		c.wire = strings.ReplaceAll(c.html, ` data-remote-src="`, ` src="`)
		if c.text == "" {
			c.text = message.TextFromHTML(c.wire)
		}
	}
	for i, f := range files {
		add := c.add
		if f.UploadID != "" {
			add = func(ctx context.Context, s *Service, i int, f File) error { return c.take(ctx, s, agent, i, f) }
		}
		if err := add(ctx, s, i, f); err != nil {
			return content{}, err
		}
	}
	return c, nil
}

// take makes an attachment of a file that the agent handed in before.
func (c *content) take(ctx context.Context, s *Service, agent *store.Agent, i int, f File) error {
	if slices.Contains(c.taken, f.UploadID) {
		return store.Invalid(fmt.Sprintf("attachments[%d].file_id", i), "stands there twice")
	}
	u, err := s.upload(ctx, agent, f.UploadID)
	if store.IsNotFound(err) {
		return store.Invalid(fmt.Sprintf("attachments[%d].file_id", i), "there is no such file")
	}
	if err != nil {
		return err
	}
	if name := message.CleanLine(f.Name); name != "" {
		u.Name = name
	}
	c.taken = append(c.taken, u.ID)
	c.attach(i, store.Attachment{Name: u.Name, Type: u.Type, Size: u.Size, ContentID: f.ContentID, Hash: u.Hash})
	return nil
}

// attach adds a file whose bytes are kept.
func (c *content) attach(i int, f store.Attachment) {
	f.ID, f.Position, f.ContentID = store.NewID(), i, strings.Trim(f.ContentID, "<>")
	f.Inline = f.ContentID != ""
	c.size += f.Size
	c.files = append(c.files, f)
}

func (c *content) add(ctx context.Context, s *Service, i int, f File) error {
	name, kind, err := f.named(fmt.Sprintf("attachments[%d]", i))
	if err != nil {
		return err
	}
	blob, err := s.db.Stage(ctx, f.Content)
	if err != nil {
		return err
	}
	c.blobs = append(c.blobs, blob)
	c.attach(i, store.Attachment{Name: name, Type: kind, Size: int64(len(f.Content)), ContentID: f.ContentID, Hash: blob.Hash})
	return nil
}

// named gives the name and type of a file as they are kept.
func (f File) named(field string) (name, kind string, err error) {
	if name = message.CleanLine(f.Name); name == "" {
		return "", "", store.Invalid(field+".name", "an attachment needs a name")
	}
	for _, value := range []string{f.Name, f.Type, f.ContentID} {
		if strings.ContainsAny(value, "\r\n\x00") {
			return "", "", store.Invalid(field, "must hold no line break")
		}
	}
	if kind = message.CleanLine(f.Type); kind == "" {
		kind = "application/octet-stream"
	}
	return name, kind, nil
}

// empty tells whether there is nothing to say.
func (c *content) empty() bool {
	return strings.TrimSpace(c.text) == "" && strings.TrimSpace(c.html) == "" && len(c.files) == 0
}

// outgoing gives the text and HTML of a mail: what the agent wrote and the
// channel's signature below it. A mail always has an HTML part.
func (c *content) outgoing(signature string) (text, rich string) {
	text, rich = c.text, c.wire
	if rich == "" {
		rich = "<div>" + htmlLines(text) + "</div>"
	}
	if signature = strings.TrimSpace(signature); signature != "" {
		text = strings.TrimRight(text, "\n") + "\n\n-- \n" + signature + "\n"
		rich += "<div><br>-- <br>" + htmlLines(signature) + "</div>"
	}
	return text, rich
}

func htmlLines(text string) string {
	return strings.ReplaceAll(html.EscapeString(strings.TrimRight(text, "\n")), "\n", "<br>\n")
}

// parts gives the files as parts of an outgoing mail.
func (c *content) parts() []store.MailPart {
	list := make([]store.MailPart, 0, len(c.files))
	for _, f := range c.files {
		list = append(list, store.MailPart{Name: f.Name, Type: f.Type, Hash: f.Hash, Size: f.Size, ContentID: f.ContentID, Inline: f.Inline})
	}
	return list
}

var dataImage = regexp.MustCompile(`(?i)(src\s*=\s*["'])data:(image/(?:png|jpeg|gif|webp));base64,([A-Za-z0-9+/=\s]+)(["'])`)

// dataImages turns the data: images of an HTML into inline parts.
func dataImages(rich string) (string, []File) {
	var images []File
	rich = dataImage.ReplaceAllStringFunc(rich, func(found string) string {
		m := dataImage.FindStringSubmatch(found)
		data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(m[3]), ""))
		if err != nil {
			return found
		}
		kind := strings.ToLower(m[2])
		cid := store.NewID() + "@image"
		images = append(images, File{
			Name: fmt.Sprintf("image%d.%s", len(images)+1, strings.TrimPrefix(kind, "image/")), Type: kind, Content: data, ContentID: cid,
		})
		return m[1] + "cid:" + cid + m[4]
	})
	return rich, images
}

// line cleans a one-line input, and refuses one that holds a line break or
// another control character.
func line(field, value string) (string, error) {
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", store.Invalid(field, "must hold no line break or control character")
	}
	return message.CleanLine(value), nil
}

// recipients reads a list of addresses that an agent typed, each once.
func recipients(field string, typed []string) ([]store.Address, error) {
	var list []store.Address
	seen := map[string]bool{}
	for i, s := range typed {
		name := fmt.Sprintf("%s[%d]", field, i)
		if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return nil, store.Invalid(name, "must hold no line break or control character")
		}
		a, err := mailbox(name, s)
		if err != nil {
			return nil, err
		}
		if key := a.Key(); !seen[key] {
			seen[key] = true
			list = append(list, store.Address{Name: a.Name, Address: a.String()})
		}
	}
	return list, nil
}

// mailbox reads "Name <address>" or a plain address.
func mailbox(field, typed string) (message.Address, error) {
	if !strings.Contains(typed, "<") {
		return address(field, typed)
	}
	list := message.ParseAddressList(typed)
	if len(list) != 1 || !list[0].Valid() {
		return message.Address{}, store.Invalid(field, "is not an e-mail address")
	}
	return list[0], nil
}

func addressesOf(list ...[]store.Address) []string {
	var out []string
	for _, l := range list {
		for _, a := range l {
			out = append(out, a.Address)
		}
	}
	return out
}
