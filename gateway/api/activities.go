package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ticketgate/store"
	"ticketgate/threading"
)

const activityPath = "/tickets/{number}/activities/{id}"

func (a *api) registerActivities() {
	add(a, route{id: "list-activities", method: http.MethodGet, path: "/tickets/{number}/activities", tag: tagDesk,
		find: a.findTicket, summary: "A ticket's history, oldest first; the caller's own drafts come last"}, a.listActivities)
	add(a, route{id: "create-activity", method: http.MethodPost, path: "/tickets/{number}/activities", tag: tagDesk,
		find: a.findTicket, large: true, status: http.StatusCreated,
		summary: "Answer, note down, or record a call; outgoing by email is sent"}, a.createActivity)
	add(a, route{id: "get-activity", method: http.MethodGet, path: activityPath, tag: tagDesk,
		find: a.findEntry, summary: "One activity, or the caller's own draft of one"}, a.getActivity)
	add(a, route{id: "patch-activity", method: http.MethodPatch, path: activityPath, tag: tagDesk, large: true,
		find: a.findEntry, summary: "Show or hide an activity in the external access; of a draft, change all fields of a POST, and send it by draft: false"}, a.patchActivity)
	add(a, route{id: "delete-activity", method: http.MethodDelete, path: activityPath, tag: tagDesk,
		find: a.findEntry, summary: "Throw a draft away"}, a.deleteActivity)
	add(a, route{id: "split-activity", method: http.MethodPost, path: activityPath + "/split", tag: tagDesk,
		find: a.findActivity, status: http.StatusCreated, summary: "Make a new ticket of an activity, which leaves this one"}, a.splitActivity)
	add(a, route{id: "move-activity", method: http.MethodPost, path: activityPath + "/move", tag: tagDesk,
		find: a.findActivity, status: http.StatusOK,
		summary: "Put an activity into another ticket, or into a new one; later mail of its thread follows. Moving it back undoes that"}, a.moveActivity)
	add(a, route{id: "list-activity-deliveries", method: http.MethodGet, path: activityPath + "/deliveries", tag: tagDesk,
		find: a.findActivity, summary: "The ledger's rows of an activity"}, a.activityDeliveries)
}

// OnActivity is the path of an activity.
type OnActivity struct {
	OnTicket
	ID string `path:"id" doc:"the activity's id"`
}

type activityList struct {
	OnTicket
	Paging
}

// listActivities ends with what the caller has not said yet.
func (a *api) listActivities(ctx context.Context, c *call, in *activityList) (*page[activityShape], error) {
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (*page[activityShape], error) {
		found, next, err := tx.Activities(ctx, c.ticket.Number, in.Cursor, in.Limit)
		if err != nil {
			return nil, err
		}
		shapes, err := activityShapes(ctx, tx, c, found)
		if err != nil {
			return nil, err
		}
		if next == "" {
			drafts, err := draftsIn(ctx, tx, c)
			if err != nil {
				return nil, err
			}
			shapes = append(shapes, drafts...)
		}
		return &page[activityShape]{Body: list[activityShape]{Items: shapes, Next: next}}, nil
	})
}

// activityShapes fills in the files and the deliveries of activities, as far as
// the caller may see what was hidden.
func activityShapes(ctx context.Context, tx *store.Tx, c *call, found []store.Activity) ([]activityShape, error) {
	ids := make([]string, 0, len(found))
	for _, v := range found {
		ids = append(ids, v.ID)
	}
	files, err := tx.Attachments(ctx, ids...)
	if err != nil {
		return nil, err
	}
	states, err := tx.DeliveryStates(ctx, ids...)
	if err != nil {
		return nil, err
	}
	shapes := make([]activityShape, 0, len(found))
	for _, v := range found {
		v, files := unhidden(c, v, files[v.ID])
		shapes = append(shapes, activityOf(v, files, states[v.ID]))
	}
	return shapes, nil
}

// unhidden takes away what the caller may not see of an activity.
func unhidden(c *call, v store.Activity, files []store.Attachment) (store.Activity, []store.Attachment) {
	if c.admin() {
		return v, files
	}
	if v.Hidden != nil {
		return v.Stub(), nil
	}
	return v, slices.DeleteFunc(slices.Clone(files), func(f store.Attachment) bool { return f.Hidden })
}

// activityShapeOf is activityShapes for one.
func (a *api) activityShapeOf(ctx context.Context, c *call, v store.Activity) (activityShape, error) {
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (activityShape, error) {
		shapes, err := activityShapes(ctx, tx, c, []store.Activity{v})
		if err != nil {
			return activityShape{}, err
		}
		return shapes[0], nil
	})
}

func (a *api) getActivity(ctx context.Context, c *call, _ *OnActivity) (*answer[activityShape], error) {
	if c.draft.ID != "" {
		s, err := draftActivity(c, c.draft)
		return &answer[activityShape]{Body: s}, err
	}
	s, err := a.activityShapeOf(ctx, c, c.entry)
	return &answer[activityShape]{Body: s}, err
}

// activityInput is the body of the POST of an activity.
type activityInput struct {
	Type          string      `json:"type" required:"true" enum:"outgoing,incoming,note"`
	Medium        string      `json:"medium" enum:"email,phone,letter,web,portal,internal" doc:"default: internal for a note, email for what goes out, phone for what came in"`
	AccountID     string      `json:"account_id" maxLength:"64"`
	Answers       string      `json:"answers" maxLength:"64" doc:"the activity that it answers; default the customer's newest"`
	Subject       string      `json:"subject" maxLength:"1000"`
	Text          string      `json:"text" lines:"many"`
	HTML          string      `json:"html" lines:"many"`
	Attachments   []fileInput `json:"attachments" maxItems:"200"`
	External      *bool       `json:"show_in_external_access"`
	StatusID      *string     `json:"status_id" maxLength:"64"`
	OwnerID       opt[string] `json:"owner_id" maxLength:"64"`
	ResponsibleID opt[string] `json:"responsible_id" maxLength:"64"`
	ChannelID     *string     `json:"channel_id" maxLength:"64"`
	Priority      *string     `json:"priority" enum:"low,normal,high,urgent"`
	Recipients
	MarkerID opt[string] `json:"marker_id" maxLength:"64"`
	Minutes  int         `json:"minutes" minimum:"0" maximum:"44640" doc:"worked on it, put down with it"`
	SendAt   *time.Time  `json:"send_at" doc:"when an outgoing email leaves; default at once"`
	Draft    bool        `json:"draft" doc:"keeps it for later: the caller alone sees it"`
}

type newActivity struct {
	OnTicket
	RawBody []byte
	Body    activityInput
}

func (a *api) createActivity(ctx context.Context, c *call, in *newActivity) (*created[activityShape], error) {
	if !in.Body.Draft {
		return a.makeActivity(ctx, c, &in.Body, "")
	}
	body, err := parsed(in.RawBody)
	if err != nil {
		return nil, err
	}
	return a.saveActivityDraft(ctx, c, "", body, in.Body.Attachments)
}

// makeActivity does what a body asks for in the ticket of the path; draft is
// what it was kept as.
func (a *api) makeActivity(ctx context.Context, c *call, b *activityInput, draft string) (*created[activityShape], error) {
	attached, err := files(b.Attachments)
	if err != nil {
		return nil, err
	}
	n := threading.NewActivity{
		Type: store.ActivityType(b.Type), Medium: store.Medium(b.Medium), AccountID: b.AccountID, Answers: b.Answers,
		Subject: b.Subject, Text: b.Text, HTML: b.HTML, To: typed(b.To), Cc: typed(b.Cc), Bcc: typed(b.Bcc), Attachments: attached,
		External: b.External, StatusID: b.StatusID, OwnerID: b.OwnerID.clearable(), MarkerID: b.MarkerID.clearable(),
		ResponsibleID: b.ResponsibleID.clearable(), ChannelID: b.ChannelID, SendAt: given(b.SendAt), Minutes: b.Minutes, DraftID: draft,
	}
	if b.Priority != nil {
		priority := store.Priority(*b.Priority)
		n.Priority = &priority
	}
	v, err := a.Desk.AddActivity(ctx, c.agent, c.ticket.Number, n)
	if err != nil {
		return nil, err
	}
	s, err := a.activityShapeOf(ctx, c, v)
	if err != nil {
		return nil, err
	}
	return &created[activityShape]{Location: activityLocation(v), Body: s}, nil
}

func activityLocation(v store.Activity) string {
	return Prefix + "/tickets/" + strconv.FormatInt(v.Ticket, 10) + "/activities/" + v.ID
}

type activityPatch struct {
	OnActivity
	Body patchOf[activityInput]
}

// patchActivity changes a draft, or what the external access shows of an
// activity: nothing else of what was said can be changed.
func (a *api) patchActivity(ctx context.Context, c *call, in *activityPatch) (*answer[activityShape], error) {
	if c.draft.ID != "" {
		return a.patchActivityDraft(ctx, c, in.Body.fields)
	}
	var errs []fieldError
	for field := range in.Body.fields {
		if field != "show_in_external_access" {
			errs = append(errs, fieldError{Field: field, Message: "can be changed in a draft only"})
		}
	}
	if err := refused(errs); err != nil {
		return nil, err
	}
	return a.showOutside(ctx, c, in.Body.fields)
}

// patchActivityDraft sends the draft where the patch says that it is none any more.
func (a *api) patchActivityDraft(ctx context.Context, c *call, p document) (*answer[activityShape], error) {
	merged, body, err := patched[activityInput](c.draft.Doc, p)
	if err != nil {
		return nil, err
	}
	var out *created[activityShape]
	if draft, sent := p["draft"].(bool); sent && !draft {
		out, err = a.makeActivity(ctx, c, &body, c.draft.ID)
	} else {
		out, err = a.saveActivityDraft(ctx, c, c.draft.ID, merged, body.Attachments)
	}
	if err != nil {
		return nil, err
	}
	return &answer[activityShape]{Body: out.Body}, nil
}

func (a *api) deleteActivity(ctx context.Context, c *call, _ *OnActivity) (*nothing, error) {
	if c.draft.ID == "" {
		return nil, newProblem(http.StatusConflict, "what was said stays; only a draft can be thrown away").because("not_a_draft")
	}
	return &nothing{}, a.Desk.DropDraft(ctx, c.agent, c.draft.ID)
}

// showOutside changes what the external access shows. An internal ticket is in
// none, whatever is set, and neither is what was hidden.
func (a *api) showOutside(ctx context.Context, c *call, p document) (*answer[activityShape], error) {
	value, sent := p["show_in_external_access"]
	show, isBool := value.(bool)
	if sent && !isBool {
		return nil, invalid("show_in_external_access", "can't be cleared")
	}
	if show && c.ticket.Kind == store.KindInternal {
		return nil, newProblem(http.StatusConflict, "an internal ticket is shown to nobody outside")
	}
	s, err := update(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (activityShape, error) {
		if _, err := tx.Ticket(ctx, c.ticket.Number); err != nil { // whoever changes the activity holds its ticket
			return activityShape{}, err
		}
		v, err := tx.Activity(ctx, c.entry.ID)
		if err == nil && show && v.Hidden != nil {
			err = newProblem(http.StatusConflict, "what was hidden is shown to nobody outside")
		}
		if err != nil {
			return activityShape{}, err
		}
		if sent && (v.External != show || !v.Chosen) {
			v.External, v.Chosen = show, true
			if err := tx.UpdateActivity(ctx, v); err != nil {
				return activityShape{}, err
			}
			if err := tx.AddEvent(ctx, store.Event{
				Kind: store.EventActivityChanged, Ticket: v.Ticket, ActivityID: v.ID, At: a.Now(),
				Data: store.EventData{Fields: []string{"show_in_external_access"}},
			}); err != nil {
				return activityShape{}, err
			}
		}
		shapes, err := activityShapes(ctx, tx, c, []store.Activity{v})
		if err != nil {
			return activityShape{}, err
		}
		return shapes[0], nil
	})
	return &answer[activityShape]{Body: s}, err
}

type moveInput struct {
	OnActivity
	Body struct {
		To moveTarget `json:"to" required:"true" doc:"the number of a ticket, or new"`
	}
}

// moveTarget is a ticket number, or 0 for "new".
type moveTarget int64

// UnmarshalJSON takes both forms; the schema has refused others.
func (m *moveTarget) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*m = 0
		return nil
	}
	return json.Unmarshal(b, (*int64)(m))
}

// Schema describes both forms.
func (moveTarget) Schema(huma.Registry) *huma.Schema {
	first := 1.0
	number := &huma.Schema{Type: huma.TypeInteger, Minimum: &first}
	word := &huma.Schema{Type: huma.TypeString, Enum: []any{"new"}}
	s := &huma.Schema{OneOf: []*huma.Schema{number, word}}
	for _, each := range []*huma.Schema{number, word, s} {
		each.PrecomputeMessages()
	}
	return s
}

// moveActivity shows the activity where it lies now. A target that the caller
// may not see is a 422, as for one that does not exist: it is no thing of the path.
func (a *api) moveActivity(ctx context.Context, c *call, in *moveInput) (*answer[activityShape], error) {
	v, err := a.Desk.MoveActivity(ctx, c.agent, c.ticket.Number, c.entry.ID, int64(in.Body.To))
	if err != nil {
		return nil, err
	}
	s, err := a.activityShapeOf(ctx, c, v)
	return &answer[activityShape]{Body: s}, err
}

type activityDeliveryList struct {
	OnActivity
	Paging
}

type splitInput struct {
	OnActivity
	Body struct {
		Subject   string `json:"subject" maxLength:"1000" doc:"default the activity's"`
		ChannelID string `json:"channel_id" maxLength:"64" doc:"default the ticket's"`
	}
}

func (a *api) splitActivity(ctx context.Context, c *call, in *splitInput) (*ticketAnswer, error) {
	t, err := a.Desk.SplitActivity(ctx, c.agent, c.ticket.Number, c.entry.ID, threading.Split(in.Body))
	if err != nil {
		return nil, err
	}
	out, err := a.ticketOnce(ctx, c, t)
	if out != nil {
		out.Location = Prefix + "/tickets/" + strconv.FormatInt(t.Number, 10)
	}
	return out, err
}

// activityDeliveries lists what left by an activity: an answer, or the
// acknowledgement of a mail. That agents were told of it is no delivery of its.
func (a *api) activityDeliveries(ctx context.Context, c *call, in *activityDeliveryList) (*page[deliveryShape], error) {
	kind := store.MailAnswer
	if c.entry.Type == store.TypeIncoming {
		kind = store.MailAck
	}
	return a.deliveryPage(ctx, store.DeliveryFilter{
		ActivityID: c.entry.ID, Kind: kind, VisibleTo: c.agent.ID, Cursor: in.Cursor, Limit: in.Limit,
	})
}
