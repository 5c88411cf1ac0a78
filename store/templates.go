package store

import (
	"context"
	"slices"
)

// Template is a text that agents begin an answer with, or that the desk answers
// with by itself.
type Template struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	Subject    string   `json:"subject"` // "": that of what is answered
	Text       string   `json:"text"`
	HTML       string   `json:"html"`
	ChannelIDs []string `json:"channel_ids"` // where it is offered; none: everywhere
}

// Offered tells whether agents may use a template in a channel.
func (t Template) Offered(channelID string) bool {
	return len(t.ChannelIDs) == 0 || slices.Contains(t.ChannelIDs, channelID)
}

// PutTemplate adds or replaces a template; a name that another one has is a
// conflict (ReasonDuplicate).
func (tx *Tx) PutTemplate(ctx context.Context, t Template) error {
	return tx.putThing(ctx, thingTemplate, t.ID, t.Name, t)
}

// DeleteTemplate removes a template; one that a channel acknowledges with, or a
// rule answers with, is a conflict (ReasonInUse).
func (tx *Tx) DeleteTemplate(ctx context.Context, id string) error {
	desk, err := tx.deskToChange(ctx)
	if err != nil {
		return err
	}
	if err := desk.ruled(id); err != nil {
		return err
	}
	for _, c := range desk.Channels {
		if c.Acknowledge.TemplateID == id {
			return inUse("channel " + c.Name)
		}
	}
	return tx.deleteThing(ctx, thingTemplate, "template", id)
}

// Template gives a template, or nil.
func (d *Desk) Template(id string) *Template {
	return thing(d.Templates, id, func(t *Template) string { return t.ID })
}

// TemplateByName gives the template of this very name, or nil.
func (d *Desk) TemplateByName(name string) *Template {
	return thing(d.Templates, name, func(t *Template) string { return t.Name })
}

// SendsByItself tells whether a template goes out with nobody looking at it: a
// channel acknowledges with it, or a rule answers with it.
func (d *Desk) SendsByItself(id string) bool {
	return slices.ContainsFunc(d.Channels, func(c Channel) bool { return c.Acknowledge.TemplateID == id }) ||
		slices.ContainsFunc(d.Rules, func(r Rule) bool { return r.Actions.TemplateID == id })
}
