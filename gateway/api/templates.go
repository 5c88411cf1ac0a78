package api

import (
	"context"
	"net/http"
	"strconv"

	"ticketgate/store"
	"ticketgate/threading"
)

func (a *api) registerTemplates() {
	things[store.Template, store.Template, templateInput]{
		one: "template", many: "templates", path: "/templates", name: "template", order: "newest first",
		all: func(d *store.Desk) []store.Template { return newestFirst(d.Templates) },
		id:  func(t *store.Template) string { return t.ID }, shape: templateOf,
		fresh: func(*store.Desk) store.Template { return store.Template{ID: store.NewID()} },
		apply: (*templateInput).apply, put: (*store.Tx).PutTemplate, remove: (*store.Tx).DeleteTemplate,
	}.register(a)
	add(a, route{id: "fill-template", method: http.MethodGet, path: "/tickets/{number}/templates/{id}", tag: tagDesk,
		find: a.findTicket, summary: "A template filled in for an answer to this ticket"}, a.fillTemplate)
}

func templateOf(t store.Template) store.Template {
	t.ChannelIDs = some(t.ChannelIDs)
	return t
}

// templateInput is the body of POST and PATCH.
type templateInput struct {
	Name       opt[string]   `json:"name" maxLength:"100"`
	Subject    opt[string]   `json:"subject" maxLength:"1000" doc:"empty: that of what is answered"`
	Text       opt[string]   `json:"text" maxLength:"100000" lines:"many" doc:"with places such as {{ticket.reference}} and {{contact.name}}"`
	HTML       opt[string]   `json:"html" maxLength:"100000" lines:"many"`
	ChannelIDs opt[[]string] `json:"channel_ids" maxItems:"200" doc:"where it is offered; none: everywhere"`
}

func (in *templateInput) apply(desk *store.Desk, t *store.Template) []fieldError {
	var errs []fieldError
	in.Name.must(&t.Name, "name", &errs)
	in.Subject.into(&t.Subject)
	in.Text.into(&t.Text)
	in.HTML.into(&t.HTML)
	in.ChannelIDs.into(&t.ChannelIDs)
	if t.Name == "" {
		errs = append(errs, fieldError{Field: "name", Message: "is required"})
	}
	for i, id := range t.ChannelIDs {
		if desk.Channel(id) == nil {
			errs = append(errs, fieldError{Field: "channel_ids[" + strconv.Itoa(i) + "]", Message: "there is no such channel"})
		}
	}
	errs = append(errs, refusals(threading.CheckTemplate(*t))...)
	if desk.SendsByItself(t.ID) {
		errs = append(errs, refusals(threading.CheckAcknowledgement(*t))...)
	}
	return errs
}

// refusals makes what threading refused a field of a list of refusals.
func refusals(err error) []fieldError {
	if err == nil {
		return nil
	}
	return problemOf(err).Errors
}

// OnTemplate is the path of a template on a ticket.
type OnTemplate struct {
	OnTicket
	ID string `path:"id" doc:"the template's id"`
}

type filledShape struct {
	Subject string `json:"subject" doc:"empty: that of what is answered"`
	Text    string `json:"text"`
	HTML    string `json:"html"`
}

func (a *api) fillTemplate(ctx context.Context, c *call, in *OnTemplate) (*answer[filledShape], error) {
	filled, err := a.Desk.FillTemplate(ctx, c.agent, c.ticket.Number, in.ID)
	return &answer[filledShape]{Body: filledShape(filled)}, err
}
