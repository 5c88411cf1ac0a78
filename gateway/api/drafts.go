package api

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"ticketgate/store"
	"ticketgate/threading"
)

func (a *api) registerDrafts() {
	add(a, route{id: "get-draft", method: http.MethodGet, path: "/drafts/{id}", tag: tagDesk, find: a.findDraft,
		summary: "The caller's own draft of a ticket"}, a.getDraft)
	add(a, route{id: "patch-draft", method: http.MethodPatch, path: "/drafts/{id}", tag: tagDesk, find: a.findDraft, large: true,
		summary: "Change a draft: all fields of a POST of a ticket"}, a.patchDraft)
	add(a, route{id: "delete-draft", method: http.MethodDelete, path: "/drafts/{id}", tag: tagDesk, find: a.findDraft,
		summary: "Throw a draft away"}, a.deleteDraft)
	add(a, route{id: "send-draft", method: http.MethodPost, path: "/drafts/{id}/send", tag: tagDesk, find: a.findDraft,
		status: http.StatusOK, summary: "Make the ticket that the draft is of, and send its mail"}, a.sendDraft)
}

// document is a draft's JSON: the body of a POST, as the client wrote it, but
// that files in it were handed in.
type document map[string]any

// draftDocument makes a draft's document out of a body, and gives the files
// that it names.
func (a *api) draftDocument(ctx context.Context, c *call, body document, files []fileInput) (doc string, ids []string, err error) {
	delete(body, "draft")
	if len(files) > 0 {
		list := make([]any, 0, len(files))
		for i, f := range files {
			u, err := a.keepFile(ctx, c, i, f)
			if err != nil {
				return "", nil, err
			}
			ids = append(ids, u.ID)
			list = append(list, document{"file_id": u.ID, "name": u.Name, "type": u.Type, "content_id": f.ContentID})
		}
		body["attachments"] = list
	}
	raw, err := json.Marshal(body)
	return string(raw), ids, err
}

// keepFile gives a file of a draft as it was handed in, before or by the draft.
func (a *api) keepFile(ctx context.Context, c *call, i int, f fileInput) (store.Upload, error) {
	if err := f.check(i); err != nil {
		return store.Upload{}, err
	}
	if f.FileID == "" {
		return a.Desk.Upload(ctx, c.agent, threading.File{Name: f.Name, Type: f.Type, Content: f.Content})
	}
	u, err := a.ownUpload(ctx, c, f.FileID)
	if store.IsNotFound(err) {
		return u, invalid("attachments["+strconv.Itoa(i)+"].file_id", "there is no such file")
	}
	if f.Name != "" {
		u.Name = f.Name
	}
	return u, err
}

// parsed reads a document that the schema has found in order.
func parsed(raw []byte) (document, error) {
	var d document
	err := json.Unmarshal(raw, &d)
	return d, err
}

// patched gives a document after a JSON Merge Patch (RFC 7396, 2), as T reads it.
func patched[T any](doc string, p document) (merged document, body T, err error) {
	if merged, err = parsed([]byte(doc)); err != nil {
		return nil, body, err
	}
	merge(merged, p)
	raw, err := json.Marshal(merged)
	if err != nil {
		return nil, body, err
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		return nil, body, newProblem(http.StatusUnprocessableEntity, "the fields don't fit together")
	}
	return merged, body, checkStrings(&body)
}

func merge(target, p document) {
	for name, value := range p {
		into, _ := target[name].(map[string]any)
		switch value := value.(type) {
		case nil:
			delete(target, name)
		case map[string]any:
			if into == nil {
				into = map[string]any{}
			}
			merge(into, value)
			target[name] = into
		default:
			target[name] = value
		}
	}
}

// patchOf is a JSON Merge Patch of a body: any of its fields, or null.
type patchOf[T any] struct{ fields document }

// UnmarshalJSON keeps what was sent, and knows null from what was not.
func (p *patchOf[T]) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &p.fields) }

// Schema is the body's, with all fields optional and nullable.
func (patchOf[T]) Schema(r huma.Registry) *huma.Schema {
	whole := r.Schema(reflect.TypeFor[T](), false, "")
	s := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{}, AdditionalProperties: false}
	for name, property := range whole.Properties {
		if property.Ref != "" {
			property = r.SchemaFromRef(property.Ref)
		}
		one := *property
		one.Nullable = true
		s.Properties[name] = &one
	}
	s.PrecomputeMessages()
	return s
}

// contentOf shows a draft's document, which a body of the type T made.
type contentOf[T any] struct{ doc string }

// MarshalJSON gives the document as it is kept.
func (c contentOf[T]) MarshalJSON() ([]byte, error) { return []byte(c.doc), nil }

// Schema is the body's.
func (contentOf[T]) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[T](), true, "")
}

// findDraft is the 404 of another's draft, and of one of an activity.
func (a *api) findDraft(ctx context.Context, c *call) (err error) {
	if c.draft, err = a.Desk.Draft(ctx, c.agent, c.param("id")); err == nil && c.draft.Ticket != 0 {
		return notFound()
	}
	return err
}

// saveTicketDraft keeps what was POSTed.
func (a *api) saveTicketDraft(ctx context.Context, c *call, id string, body document, files []fileInput) (*ticketAnswer, error) {
	doc, ids, err := a.draftDocument(ctx, c, body, files)
	if err != nil {
		return nil, err
	}
	d, err := a.Desk.SaveDraft(ctx, c.agent, store.Draft{ID: id, Doc: doc}, ids)
	if err != nil {
		return nil, err
	}
	s, err := draftTicket(d)
	return &ticketAnswer{Location: Prefix + "/drafts/" + d.ID, Body: s}, err
}

// draftTicket shows a draft as the ticket that it is to be.
func draftTicket(d store.Draft) (ticketShape, error) {
	var b ticketInput
	if err := json.Unmarshal([]byte(d.Doc), &b); err != nil {
		return ticketShape{}, err
	}
	return ticketShape{
		ID: d.ID, Draft: true, Kind: store.TicketKind(b.Kind), Subject: b.Subject, ChannelID: b.ChannelID, StatusID: b.StatusID,
		Priority: store.Priority(cmp.Or(b.Priority, string(store.PriorityNormal))), MarkerID: orNull(b.MarkerID), OwnerID: orNull(b.OwnerID),
		ResponsibleID: orNull(b.ResponsibleID), AccountID: orNull(b.AccountID), CreatedBy: orNull(d.AgentID),
		CreatedAt: d.CreatedAt.UTC(), UpdatedAt: d.UpdatedAt.UTC(), Links: []store.Link{}, Participants: []participantShape{},
		Held: []heldShape{}, Watchers: some(b.Watchers), Tags: some(b.Tags), Fields: someMap(b.Fields), Counts: countsShape{Files: len(b.Attachments)},
		Content: &contentOf[ticketInput]{d.Doc},
	}, nil
}

func (a *api) getDraft(_ context.Context, c *call, _ *OnThing) (*answer[ticketShape], error) {
	s, err := draftTicket(c.draft)
	return &answer[ticketShape]{Body: s}, err
}

type draftPatch struct {
	OnThing
	Body patchOf[ticketInput]
}

// patchDraft sends the draft where the patch says that it is none any more.
func (a *api) patchDraft(ctx context.Context, c *call, in *draftPatch) (*ticketAnswer, error) {
	merged, body, err := patched[ticketInput](c.draft.Doc, in.Body.fields)
	if err != nil {
		return nil, err
	}
	if draft, sent := in.Body.fields["draft"].(bool); sent && !draft {
		return a.makeTicket(ctx, c, &body, c.draft.ID)
	}
	out, err := a.saveTicketDraft(ctx, c, c.draft.ID, merged, body.Attachments)
	if out != nil {
		out.Location = ""
	}
	return out, err
}

func (a *api) deleteDraft(ctx context.Context, c *call, in *OnThing) (*nothing, error) {
	return &nothing{}, a.Desk.DropDraft(ctx, c.agent, in.ID)
}

func (a *api) sendDraft(ctx context.Context, c *call, in *OnThing) (*ticketAnswer, error) {
	_, body, err := patched[ticketInput](c.draft.Doc, nil)
	if err != nil {
		return nil, err
	}
	return a.makeTicket(ctx, c, &body, in.ID)
}

// listDrafts lists what the caller has not said yet: tickets to be made, and
// tickets that he sees and has an activity for. Newest first.
func (a *api) listDrafts(ctx context.Context, c *call, p Paging) (*page[ticketShape], error) {
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (*page[ticketShape], error) {
		found, next, err := tx.Drafts(ctx, c.agent.ID, p.Cursor, p.Limit)
		if err != nil {
			return nil, err
		}
		shapes := make([]ticketShape, 0, len(found))
		for _, d := range found {
			s, err := a.draftShape(ctx, tx, c, d)
			if problemOf(err).Status == http.StatusNotFound {
				continue // the caller sees its ticket no more
			}
			if err != nil {
				return nil, err
			}
			shapes = append(shapes, s)
		}
		return &page[ticketShape]{Body: list[ticketShape]{Items: shapes, Next: next}}, nil
	})
}

func (a *api) draftShape(ctx context.Context, tx *store.Tx, c *call, d store.Draft) (ticketShape, error) {
	if d.Ticket == 0 {
		return draftTicket(d)
	}
	t, err := seen(ctx, tx, c, d.Ticket)
	if err != nil {
		return ticketShape{}, err
	}
	shapes, err := a.shapesOf(ctx, tx, c, []store.Ticket{t})
	if err != nil {
		return ticketShape{}, err
	}
	shapes[0].Draft = true
	return shapes[0], nil
}

// The drafts of activities.

// findEntry is findActivity for what may be the caller's own draft.
func (a *api) findEntry(ctx context.Context, c *call) error {
	err := a.findActivity(ctx, c)
	if !store.IsNotFound(err) || c.ticket.Number == 0 {
		return err
	}
	d, draftErr := a.Desk.Draft(ctx, c.agent, c.param("id"))
	if store.IsNotFound(draftErr) || draftErr == nil && d.Ticket != c.ticket.Number {
		return err
	}
	c.draft = d
	return draftErr
}

// saveActivityDraft keeps what was POSTed in the ticket of the path.
func (a *api) saveActivityDraft(ctx context.Context, c *call, id string, body document, files []fileInput) (*created[activityShape], error) {
	doc, ids, err := a.draftDocument(ctx, c, body, files)
	if err != nil {
		return nil, err
	}
	d, err := a.Desk.SaveDraft(ctx, c.agent, store.Draft{ID: id, Ticket: c.ticket.Number, Doc: doc}, ids)
	if err != nil {
		return nil, err
	}
	s, err := draftActivity(c, d)
	return &created[activityShape]{Location: Prefix + "/tickets/" + strconv.FormatInt(d.Ticket, 10) + "/activities/" + d.ID, Body: s}, err
}

// draftActivity shows a draft as the activity that it is to be.
func draftActivity(c *call, d store.Draft) (activityShape, error) {
	var b activityInput
	if err := json.Unmarshal([]byte(d.Doc), &b); err != nil {
		return activityShape{}, err
	}
	v := store.Activity{
		ID: d.ID, Ticket: d.Ticket, CreatedBy: d.AgentID, AccountID: b.AccountID, Answers: b.Answers,
		Type: store.ActivityType(b.Type), Medium: cmp.Or(store.Medium(b.Medium), threading.DefaultMedium(store.ActivityType(b.Type))), Subject: b.Subject, Text: b.Text, HTML: b.HTML,
		Author: store.Author{Kind: store.AuthorAgent, ID: c.agent.ID, Name: c.agent.Name}, CreatedAt: d.CreatedAt,
	}
	v.To, v.Cc, v.Bcc = mailboxes(b.To), mailboxes(b.Cc), mailboxes(b.Bcc)
	v.External = b.External != nil && *b.External
	if b.SendAt != nil {
		v.SendAt = *b.SendAt
	}
	files := make([]store.Attachment, 0, len(b.Attachments))
	for _, f := range b.Attachments {
		files = append(files, store.Attachment{ID: f.FileID, Name: f.Name, Type: f.Type, ContentID: f.ContentID, Inline: f.ContentID != ""})
	}
	s := activityOf(v, files, "")
	s.Draft, s.Content = true, &contentOf[activityInput]{d.Doc}
	return s, nil
}

// mailboxes shows recipients as they were typed.
func mailboxes(typed []mailbox) []store.Address {
	list := make([]store.Address, 0, len(typed))
	for _, m := range typed {
		list = append(list, store.Address{Address: m.Address})
	}
	return list
}

// draftsIn gives the caller's drafts in the ticket of the path.
func draftsIn(ctx context.Context, tx *store.Tx, c *call) ([]activityShape, error) {
	found, err := tx.DraftsIn(ctx, c.agent.ID, c.ticket.Number)
	if err != nil {
		return nil, err
	}
	shapes := make([]activityShape, 0, len(found))
	for _, d := range found {
		s, err := draftActivity(c, d)
		if err != nil {
			return nil, err
		}
		shapes = append(shapes, s)
	}
	return shapes, nil
}

// check refuses a file that is neither handed in nor here.
func (f fileInput) check(i int) error {
	at := "attachments[" + strconv.Itoa(i) + "]"
	switch {
	case f.FileID != "" && f.Content != nil:
		return invalid(at, "has content or a file_id, and not both")
	case f.FileID == "" && f.Content == nil:
		return invalid(at+".content", "is required, or a file_id")
	case f.FileID == "" && f.Name == "":
		return invalid(at+".name", "is required")
	}
	return nil
}
