package api

import (
	"context"
	"net/http"
	"time"

	"ticketgate/store"
	"ticketgate/threading"
)

func (a *api) registerRules() {
	things[store.Rule, ruleShape, ruleInput]{
		one: "rule", many: "rules", path: "/rules", name: "rule", order: "in the order in which they look", secret: true,
		all: func(d *store.Desk) []store.Rule { return d.Rules },
		id:  func(r *store.Rule) string { return r.ID }, shape: ruleOf, fresh: freshRule,
		apply: func(in *ruleInput, desk *store.Desk, r *store.Rule) []fieldError { return in.apply(a, desk, r) },
		put:   (*store.Tx).PutRule, remove: (*store.Tx).DeleteRule,
	}.register(a)
	add(a, route{id: "try-rule", method: http.MethodPost, path: "/rules/try", tag: tagAdmin, pure: true, status: http.StatusOK,
		summary: "At which of the newest mails a rule would have held; nothing is stored"}, a.tryRule)
}

// ruleShape is a rule as clients read it.
type ruleShape struct {
	ID           string           `json:"id"`
	Name         string           `json:"name"`
	Active       bool             `json:"active"`
	Position     int              `json:"position" doc:"the lowest looks first"`
	When         store.RuleWhen   `json:"when"`
	Event        store.RuleEvent  `json:"event" doc:"of the kind time; else empty"`
	AfterMinutes int              `json:"after_minutes"`
	CalendarID   *string          `json:"calendar_id" doc:"of the kind time: its minutes alone count; null: day and night"`
	Condition    string           `json:"condition"`
	Actions      ruleActionsShape `json:"actions"`
	Stop         bool             `json:"stop"`
}

type ruleActionsShape struct {
	ChannelID         *string            `json:"channel_id"`
	StatusID          *string            `json:"status_id"`
	Priority          *string            `json:"priority"`
	MarkerID          *string            `json:"marker_id"`
	OwnerID           *string            `json:"owner_id"`
	ResponsibleID     *string            `json:"responsible_id"`
	FreeOwner         bool               `json:"free_owner"`
	WatcherIDs        []string           `json:"watcher_ids"`
	AddTags           []string           `json:"add_tags"`
	RemoveTags        []string           `json:"remove_tags"`
	Quarantine        bool               `json:"quarantine"`
	NoAcknowledgement bool               `json:"no_acknowledgement"`
	TemplateID        *string            `json:"template_id"`
	WebhookID         *string            `json:"webhook_id"`
	Note              string             `json:"note"`
	Fields            map[string]any     `json:"fields" doc:"of custom fields, by key"`
	Extract           *store.RuleExtract `json:"extract"`
}

func ruleOf(r store.Rule) ruleShape {
	a := r.Actions
	return ruleShape{
		ID: r.ID, Name: r.Name, Active: r.Active, Position: r.Position, When: r.When, Event: r.Event, AfterMinutes: r.AfterMinutes,
		CalendarID: orNull(r.CalendarID), Condition: r.Condition, Stop: r.Stop,
		Actions: ruleActionsShape{
			ChannelID: orNull(a.ChannelID), StatusID: orNull(a.StatusID), Priority: orNull(string(a.Priority)), MarkerID: orNull(a.MarkerID),
			OwnerID: orNull(a.OwnerID), ResponsibleID: orNull(a.ResponsibleID), FreeOwner: a.FreeOwner, WatcherIDs: some(a.WatcherIDs),
			AddTags: some(a.AddTags), RemoveTags: some(a.RemoveTags), Quarantine: a.Quarantine, NoAcknowledgement: a.NoAcknowledgement,
			TemplateID: orNull(a.TemplateID), WebhookID: orNull(a.WebhookID), Note: a.Note, Fields: someMap(a.Fields), Extract: a.Extract,
		},
	}
}

// freshRule looks last.
func freshRule(desk *store.Desk) store.Rule {
	position := 1
	for _, r := range desk.Rules {
		position = max(position, r.Position+1)
	}
	return store.Rule{ID: store.NewID(), Active: true, Position: position, When: store.RuleOnIntake}
}

// ruleInput is the body of POST and PATCH.
type ruleInput struct {
	Name         opt[string]           `json:"name" maxLength:"100"`
	Active       opt[bool]             `json:"active"`
	Position     opt[int]              `json:"position" minimum:"0" maximum:"1000000" doc:"the lowest looks first; default last"`
	When         opt[string]           `json:"when" enum:"intake,change,time" doc:"default intake"`
	Event        opt[string]           `json:"event" enum:"created,status,incoming,outgoing,activity" doc:"of the kind time: what it counts from"`
	AfterMinutes opt[int]              `json:"after_minutes" minimum:"0" maximum:"527040"`
	CalendarID   opt[string]           `json:"calendar_id" maxLength:"64" doc:"of the kind time: its minutes alone count; null: day and night"`
	Condition    opt[string]           `json:"condition" maxLength:"4000" lines:"many" doc:"CEL; empty: it always holds"`
	Actions      opt[ruleActionsInput] `json:"actions"`
	Stop         opt[bool]             `json:"stop" doc:"no later rule looks where this one held"`
}

type ruleActionsInput struct {
	ChannelID         opt[string]         `json:"channel_id" maxLength:"64"`
	StatusID          opt[string]         `json:"status_id" maxLength:"64"`
	Priority          opt[string]         `json:"priority" enum:"low,normal,high,urgent"`
	MarkerID          opt[string]         `json:"marker_id" maxLength:"64"`
	OwnerID           opt[string]         `json:"owner_id" maxLength:"64"`
	ResponsibleID     opt[string]         `json:"responsible_id" maxLength:"64"`
	FreeOwner         opt[bool]           `json:"free_owner"`
	WatcherIDs        opt[[]string]       `json:"watcher_ids" maxItems:"50"`
	AddTags           opt[[]string]       `json:"add_tags" maxItems:"50"`
	RemoveTags        opt[[]string]       `json:"remove_tags" maxItems:"50"`
	Quarantine        opt[bool]           `json:"quarantine" doc:"of the kind intake"`
	NoAcknowledgement opt[bool]           `json:"no_acknowledgement" doc:"of the kind intake"`
	WebhookID         opt[string]         `json:"webhook_id" maxLength:"64" doc:"is told rule.matched, whatever its events and channels are"`
	TemplateID        opt[string]         `json:"template_id" maxLength:"64" doc:"answers who wrote, within the limits of acknowledgements"`
	Note              opt[string]         `json:"note" maxLength:"10000" lines:"many"`
	Fields            opt[map[string]any] `json:"fields" doc:"of custom fields, by key; null takes a value away"`
	Extract           opt[extractInput]   `json:"extract" doc:"of the kind intake: a number of another system"`
}

type extractInput struct {
	Field   string `json:"field" required:"true" maxLength:"40" doc:"key of a custom field of the type text"`
	From    string `json:"from" required:"true" enum:"subject,text" doc:"text: subject, then text"`
	Pattern string `json:"pattern" required:"true" maxLength:"500" doc:"RE2; its first group, else all of it, is the number"`
}

func (in *ruleInput) apply(a *api, desk *store.Desk, r *store.Rule) []fieldError {
	var errs []fieldError
	in.Name.must(&r.Name, "name", &errs)
	in.Active.must(&r.Active, "active", &errs)
	in.Position.must(&r.Position, "position", &errs)
	in.When.must((*string)(&r.When), "when", &errs)
	in.Event.into((*string)(&r.Event))
	in.AfterMinutes.into(&r.AfterMinutes)
	in.CalendarID.into(&r.CalendarID)
	in.Condition.into(&r.Condition)
	in.Stop.must(&r.Stop, "stop", &errs)
	if in.Actions.Null {
		r.Actions = store.RuleActions{}
	} else if in.Actions.Sent {
		in.Actions.Value.apply(&r.Actions)
	}
	if len(errs) == 0 {
		errs = refusals(a.Desk.CheckRule(desk, r))
	}
	return errs
}

// apply merges what was sent into the actions (RFC 7396).
func (in *ruleActionsInput) apply(a *store.RuleActions) {
	in.ChannelID.into(&a.ChannelID)
	in.StatusID.into(&a.StatusID)
	in.Priority.into((*string)(&a.Priority))
	in.MarkerID.into(&a.MarkerID)
	in.OwnerID.into(&a.OwnerID)
	in.ResponsibleID.into(&a.ResponsibleID)
	in.FreeOwner.into(&a.FreeOwner)
	in.WatcherIDs.into(&a.WatcherIDs)
	in.AddTags.into(&a.AddTags)
	in.RemoveTags.into(&a.RemoveTags)
	in.Quarantine.into(&a.Quarantine)
	in.NoAcknowledgement.into(&a.NoAcknowledgement)
	in.TemplateID.into(&a.TemplateID)
	in.WebhookID.into(&a.WebhookID)
	in.Note.into(&a.Note)
	in.Fields.into(&a.Fields)
	if in.Extract.Sent {
		a.Extract = nil
		if !in.Extract.Null {
			e := store.RuleExtract(in.Extract.Value)
			a.Extract = &e
		}
	}
}

type tryInput struct {
	Body struct {
		Rule      *ruleInput `json:"rule"`
		Condition string     `json:"condition" maxLength:"4000" lines:"many" doc:"in place of a rule"`
		Since     *time.Time `json:"since" doc:"no older mail"`
		Limit     int        `json:"limit" minimum:"1" maximum:"500" default:"100" doc:"of mails, the newest first"`
	}
}

type tryShape struct {
	Tried   int         `json:"tried" doc:"mails that the rule looked at"`
	Matched int         `json:"matched"`
	Failed  int         `json:"failed" doc:"where the condition erred or costs too much"`
	Why     string      `json:"why" doc:"of the first that failed"`
	Items   []triedMail `json:"items" doc:"where it held"`
}

type triedMail struct {
	Ticket     int64     `json:"ticket"`
	ActivityID string    `json:"activity_id"`
	Subject    string    `json:"subject"`
	CreatedAt  time.Time `json:"created_at"`
	Did        []string  `json:"did" doc:"what it would have done"`
	Refused    []string  `json:"refused" doc:"what it could not have done"`
}

func (a *api) tryRule(ctx context.Context, c *call, in *tryInput) (*answer[tryShape], error) {
	desk, err := a.DB.Desk(ctx)
	if err != nil {
		return nil, err
	}
	r := freshRule(desk)
	r.Name, r.Condition = "trial", in.Body.Condition
	if in.Body.Rule != nil {
		if in.Body.Condition != "" {
			return nil, invalid("condition", "stands in the rule already")
		}
		if err := refused(in.Body.Rule.apply(a, desk, &r)); err != nil {
			return nil, err
		}
	}
	if r.When != store.RuleOnIntake {
		return nil, invalid("rule.when", "only a rule of the kind intake can be tried on mail")
	}
	result, err := a.Desk.TryRule(ctx, c.agent, threading.Trial{Rule: r, Since: given(in.Body.Since), Limit: in.Body.Limit})
	if err != nil {
		return nil, err
	}
	shape := tryShape{Tried: result.Tried, Matched: result.Matched, Failed: result.Failed, Why: result.Why, Items: []triedMail{}}
	for _, m := range result.Mails {
		shape.Items = append(shape.Items, triedMail{
			Ticket: m.Ticket, ActivityID: m.ActivityID, Subject: m.Subject, CreatedAt: m.CreatedAt.UTC(), Did: some(m.Did), Refused: some(m.Refused),
		})
	}
	return &answer[tryShape]{Body: shape}, nil
}

// traceShape is what one rule made of a mail or a change.
type traceShape struct {
	ID      string           `json:"id" doc:"the rule's"`
	Name    string           `json:"name"`
	Result  store.RuleResult `json:"result" doc:"matched, error or over_limit"`
	Why     string           `json:"why" doc:"of an error"`
	Did     []string         `json:"did"`
	Refused []string         `json:"refused" doc:"what it was to do and could not, with the reason"`
}

func tracesOf(list []store.RuleTrace) []traceShape {
	shapes := make([]traceShape, 0, len(list))
	for _, t := range list {
		shapes = append(shapes, traceShape{ID: t.ID, Name: t.Name, Result: t.Result, Why: t.Why, Did: some(t.Did), Refused: some(t.Refused)})
	}
	return shapes
}
