package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"ticketgate/store"
)

const ticketFilePath = "/tickets/{number}/files/{id}"

func (a *api) registerTicketFiles() {
	add(a, route{id: "list-ticket-files", method: http.MethodGet, path: "/tickets/{number}/files", tag: tagDesk,
		find: a.findTicket, summary: "The files of all of a ticket's activities, newest first"}, a.listTicketFiles)
	add(a, route{id: "add-ticket-file", method: http.MethodPost, path: "/tickets/{number}/files", tag: tagDesk,
		find: a.findTicket, large: true, status: http.StatusCreated, summary: "Keep a file with the ticket, as a note"}, a.addTicketFile)
	add(a, route{id: "hide-ticket-file", method: http.MethodDelete, path: ticketFilePath, tag: tagDesk,
		find: a.findTicketFile, summary: "Take a file out of sight; admins still see it"}, a.hideTicketFile)
	add(a, route{id: "hide-activity", method: http.MethodPost, path: activityPath + "/hide", tag: tagDesk,
		find: a.findActivity, status: http.StatusOK, summary: "Take what was said out of sight; a stub stays, and admins still see it"}, a.hideActivity)
	add(a, route{id: "add-link", method: http.MethodPost, path: "/tickets/{number}/links", tag: tagDesk,
		find: a.findTicket, status: http.StatusCreated, summary: "Tie the ticket to another"}, a.addLink)
	add(a, route{id: "delete-link", method: http.MethodDelete, path: "/tickets/{number}/links/{other}", tag: tagDesk,
		find: a.findTicket, summary: "Untie it"}, a.deleteLink)
}

// ticketFileShape is a file with the activity where it lies.
type ticketFileShape struct {
	store.Attachment
	ActivityID string `json:"activity_id"`
}

func ticketFileOf(f store.Attachment) ticketFileShape {
	return ticketFileShape{Attachment: f, ActivityID: f.ActivityID}
}

// listTicketFiles reads on past what is hidden, until the page is full.
func (a *api) listTicketFiles(ctx context.Context, c *call, in *struct {
	OnTicket
	Paging
}) (*page[ticketFileShape], error) {
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (*page[ticketFileShape], error) {
		var shown []store.Attachment
		for next := in.Cursor; ; {
			found, behind, err := tx.TicketFiles(ctx, c.ticket.Number, next, in.Limit-len(shown))
			if err != nil {
				return nil, err
			}
			if found, err = inSight(ctx, tx, c, found); err != nil {
				return nil, err
			}
			shown = append(shown, found...)
			if next = behind; next == "" || len(shown) == in.Limit {
				return mapped(shown, next, ticketFileOf), nil
			}
		}
	})
}

// inSight leaves out the files that the caller may not see.
func inSight(ctx context.Context, tx *store.Tx, c *call, found []store.Attachment) ([]store.Attachment, error) {
	if c.admin() {
		return found, nil
	}
	hidden := map[string]bool{} // by activity
	for _, f := range found {
		if _, known := hidden[f.ActivityID]; known {
			continue
		}
		v, err := tx.Activity(ctx, f.ActivityID)
		if err != nil {
			return nil, err
		}
		hidden[f.ActivityID] = v.Hidden != nil
	}
	return slices.DeleteFunc(found, func(f store.Attachment) bool { return f.Hidden || hidden[f.ActivityID] }), nil
}

type newTicketFile struct {
	OnTicket
	Body fileInput
}

func (a *api) addTicketFile(ctx context.Context, c *call, in *newTicketFile) (*created[ticketFileShape], error) {
	out, err := a.makeActivity(ctx, c, &activityInput{Type: string(store.TypeNote), Attachments: []fileInput{in.Body}}, "")
	if err != nil {
		return nil, ofFile(err)
	}
	f := out.Body.Attachments[0]
	f.ActivityID = out.Body.ID
	return &created[ticketFileShape]{Location: out.Location + "/attachments/" + f.ID, Body: ticketFileOf(f)}, nil
}

// ofFile names the fields of the file as they stand in its own body, and not in
// that of the note that it is kept as.
func ofFile(err error) error {
	p := problemOf(err)
	if len(p.Errors) == 0 {
		return err
	}
	named := *p
	named.Errors = slices.Clone(p.Errors)
	for i := range named.Errors {
		e := &named.Errors[i]
		if e.Field = strings.TrimPrefix(strings.TrimPrefix(e.Field, "attachments[0]"), "."); e.Field == "" {
			e.Field = "content"
		}
	}
	return &named
}

// findTicketFile is the 404 of a file that the caller does not see in the ticket.
func (a *api) findTicketFile(ctx context.Context, c *call) error {
	return a.DB.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := c.findTicket(ctx, tx); err != nil {
			return err
		}
		file, err := tx.TicketFile(ctx, c.ticket.Number, c.param("id"))
		if err != nil {
			return err
		}
		c.entry, err = tx.Activity(ctx, file.ActivityID)
		if err == nil && (file.Hidden || c.entry.Hidden != nil) && !c.admin() {
			err = notFound()
		}
		return err
	})
}

func (a *api) hideTicketFile(ctx context.Context, c *call, in *struct {
	OnTicket
	ID string `path:"id" doc:"the file's id"`
}) (*nothing, error) {
	return &nothing{}, a.Desk.HideFile(ctx, c.agent, c.ticket.Number, c.entry.ID, in.ID)
}

func (a *api) hideActivity(ctx context.Context, c *call, _ *OnActivity) (*answer[activityShape], error) {
	v, err := a.Desk.HideActivity(ctx, c.agent, c.ticket.Number, c.entry.ID)
	if err != nil {
		return nil, err
	}
	s, err := a.activityShapeOf(ctx, c, v)
	return &answer[activityShape]{Body: s}, err
}

type linkInput struct {
	OnTicket
	Body store.Link
}

func (a *api) addLink(ctx context.Context, c *call, in *linkInput) (*created[store.Link], error) {
	if err := a.Desk.AddLink(ctx, c.agent, c.ticket.Number, in.Body.Number, in.Body.Kind); err != nil {
		return nil, err
	}
	return &created[store.Link]{Location: Prefix + "/tickets/" + c.param("number"), Body: in.Body}, nil
}

func (a *api) deleteLink(ctx context.Context, c *call, in *struct {
	OnTicket
	Other int64  `path:"other" minimum:"1" doc:"the other ticket's number"`
	Kind  string `query:"kind" required:"true" maxLength:"20"`
}) (*nothing, error) {
	return &nothing{}, a.Desk.DeleteLink(ctx, c.agent, c.ticket.Number, in.Other, in.Kind)
}
