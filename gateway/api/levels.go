package api

import (
	"context"
	"net/http"
	"time"

	"ticketgate/store"
	"ticketgate/threading"
	"ticketgate/threading/calendar"
)

func (a *api) registerLevels() {
	things[store.Calendar, store.Calendar, calendarInput]{
		one: "calendar", many: "calendars", path: "/calendars", name: "calendar", order: "newest first",
		all: func(d *store.Desk) []store.Calendar { return newestFirst(d.Calendars) },
		id:  func(c *store.Calendar) string { return c.ID }, shape: calendarOf,
		fresh: func(*store.Desk) store.Calendar { return store.Calendar{ID: store.NewID(), Timezone: "UTC"} },
		apply: (*calendarInput).apply, put: (*store.Tx).PutCalendar, remove: (*store.Tx).DeleteCalendar,
	}.register(a)
	things[store.ServiceLevel, levelShape, levelInput]{
		one: "service-level", many: "service-levels", path: "/service-levels", name: "service level", order: "newest first",
		all: func(d *store.Desk) []store.ServiceLevel { return newestFirst(d.ServiceLevels) },
		id:  func(l *store.ServiceLevel) string { return l.ID }, shape: levelOf,
		fresh: func(*store.Desk) store.ServiceLevel { return store.ServiceLevel{ID: store.NewID()} },
		apply: (*levelInput).apply, put: (*store.Tx).PutServiceLevel, remove: (*store.Tx).DeleteServiceLevel,
	}.register(a)
	add(a, route{id: "list-alarms", method: http.MethodGet, path: "/tickets/{number}/alarms", tag: tagDesk,
		find: a.findTicket, summary: "Reminders of a ticket, newest first"}, a.listAlarms)
	add(a, route{id: "create-alarm", method: http.MethodPost, path: "/tickets/{number}/alarms", tag: tagDesk,
		find: a.findTicket, status: http.StatusCreated, summary: "Have an agent reminded at a time, once"}, a.createAlarm)
	add(a, route{id: "patch-alarm", method: http.MethodPatch, path: alarmPath, tag: tagDesk,
		find: a.findAlarm, summary: "Change a reminder; with another time it rings again"}, a.patchAlarm)
	add(a, route{id: "delete-alarm", method: http.MethodDelete, path: alarmPath, tag: tagDesk,
		find: a.findAlarm, summary: "Take a reminder away"}, a.deleteAlarm)
}

func calendarOf(c store.Calendar) store.Calendar {
	c.Hours, c.Holidays = someMap(c.Hours), some(c.Holidays)
	return c
}

// calendarInput is the body of POST and PATCH.
type calendarInput struct {
	Name     opt[string]              `json:"name" maxLength:"100"`
	Timezone opt[string]              `json:"timezone" maxLength:"64" doc:"IANA name, such as Europe/Berlin; default UTC"`
	Hours    opt[map[string][]string] `json:"hours" doc:"by mon to sun: ranges such as 09:00-17:00"`
	Holidays opt[[]string]            `json:"holidays" maxItems:"1000" doc:"2026-12-25, 12-25 in every year, or two with a / between them"`
}

func (in *calendarInput) apply(_ *store.Desk, c *store.Calendar) []fieldError {
	var errs []fieldError
	in.Name.must(&c.Name, "name", &errs)
	in.Timezone.must(&c.Timezone, "timezone", &errs)
	in.Hours.into(&c.Hours)
	in.Holidays.into(&c.Holidays)
	if c.Name == "" {
		errs = append(errs, fieldError{Field: "name", Message: "is required"})
	}
	_, err := calendar.New(*c)
	return append(errs, refusals(err)...)
}

// levelShape is a service level as clients read one.
type levelShape struct {
	ID             string  `json:"id"`
	Name           string  `json:"name"`
	RespondMinutes int     `json:"respond_minutes"`
	ResolveMinutes int     `json:"resolve_minutes"`
	WarnMinutes    int     `json:"warn_minutes"`
	CalendarID     *string `json:"calendar_id"`
	ManagerID      *string `json:"manager_id"`
}

func levelOf(l store.ServiceLevel) levelShape {
	return levelShape{ID: l.ID, Name: l.Name, RespondMinutes: l.RespondMinutes, ResolveMinutes: l.ResolveMinutes,
		WarnMinutes: l.WarnMinutes, CalendarID: orNull(l.CalendarID), ManagerID: orNull(l.ManagerID)}
}

// levelInput is the body of POST and PATCH.
type levelInput struct {
	Name           opt[string] `json:"name" maxLength:"100"`
	RespondMinutes opt[int]    `json:"respond_minutes" doc:"to the first answer after the customer's word; 0: no aim"`
	ResolveMinutes opt[int]    `json:"resolve_minutes" doc:"to the end of the matter; 0: no aim"`
	WarnMinutes    opt[int]    `json:"warn_minutes" doc:"before either is over; 0: no warning"`
	CalendarID     opt[string] `json:"calendar_id" maxLength:"64" doc:"null: minutes count day and night"`
	ManagerID      opt[string] `json:"manager_id" maxLength:"64" doc:"an agent who is told of warnings and breaches as well"`
}

func (in *levelInput) apply(desk *store.Desk, l *store.ServiceLevel) []fieldError {
	var errs []fieldError
	in.Name.must(&l.Name, "name", &errs)
	in.RespondMinutes.into(&l.RespondMinutes)
	in.ResolveMinutes.into(&l.ResolveMinutes)
	in.WarnMinutes.into(&l.WarnMinutes)
	in.CalendarID.into(&l.CalendarID)
	in.ManagerID.into(&l.ManagerID)
	return append(errs, refusals(threading.CheckServiceLevel(desk, *l))...)
}

// ticketLevel is how a ticket stands under its service level.
type ticketLevel struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	RespondBy *time.Time `json:"respond_by" doc:"null: no answer is due"`
	ResolveBy *time.Time `json:"resolve_by"`
	State     string     `json:"state" doc:"green, amber, red, met, breached or paused"`
}

// levelOfTicket gives how a ticket stands, null where it has no service level.
func (a *api) levelOfTicket(desk *store.Desk, c store.Clock) *ticketLevel {
	v, ok := a.Desk.ViewLevel(desk, c)
	if !ok {
		return nil
	}
	return &ticketLevel{ID: v.ID, Name: v.Name, RespondBy: when(v.RespondBy), ResolveBy: when(v.ResolveBy), State: v.State}
}

// levels gives the service levels that things of a kind have of their own.
func (a *api) levels(ctx context.Context, kind string, ids ...string) (map[string]string, error) {
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (map[string]string, error) {
		return tx.LevelsOf(ctx, kind, ids...)
	})
}

// levelled fills them in, where of gives a shape's id and the place of its level.
func levelled[S any](ctx context.Context, tx *store.Tx, kind string, shapes []S, of func(*S) (string, **string)) error {
	ids := make([]string, 0, len(shapes))
	for i := range shapes {
		id, _ := of(&shapes[i])
		ids = append(ids, id)
	}
	own, err := tx.LevelsOf(ctx, kind, ids...)
	for i := range shapes {
		id, place := of(&shapes[i])
		*place = orNull(own[id])
	}
	return err
}

const alarmPath = "/tickets/{number}/alarms/{id}"

type alarmShape struct {
	ID        string     `json:"id"`
	At        time.Time  `json:"at"`
	Comment   string     `json:"comment"`
	AgentID   string     `json:"agent_id"`
	CreatedBy string     `json:"created_by"`
	DoneAt    *time.Time `json:"done_at" doc:"when it went off; null: it is still to come"`
}

func alarmOf(v store.Alarm) alarmShape {
	return alarmShape{ID: v.ID, At: v.At.UTC(), Comment: v.Comment, AgentID: v.AgentID, CreatedBy: v.CreatedBy, DoneAt: when(v.DoneAt)}
}

// AlarmInput is the body of POST and PATCH.
type AlarmInput struct {
	At      *time.Time `json:"at"`
	Comment *string    `json:"comment" maxLength:"10000" lines:"many"`
	AgentID *string    `json:"agent_id" maxLength:"64" doc:"who is reminded; default the caller"`
}

// findAlarm is the 404 of an alarm of another ticket.
func (a *api) findAlarm(ctx context.Context, c *call) error {
	return a.DB.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := c.findTicket(ctx, tx); err != nil {
			return err
		}
		_, err := tx.Alarm(ctx, c.ticket.Number, c.param("id"))
		return err
	})
}

func (a *api) listAlarms(ctx context.Context, c *call, in *struct {
	OnTicket
	Paging
}) (*page[alarmShape], error) {
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (*page[alarmShape], error) {
		found, next, err := tx.Alarms(ctx, c.ticket.Number, in.Cursor, in.Limit)
		return mapped(found, next, alarmOf), err
	})
}

func (a *api) createAlarm(ctx context.Context, c *call, in *struct {
	OnTicket
	Body AlarmInput
}) (*created[alarmShape], error) {
	v, err := a.Desk.PutAlarm(ctx, c.agent, c.ticket.Number, "", threading.NewAlarm(in.Body))
	return &created[alarmShape]{Location: Prefix + "/tickets/" + c.param("number") + "/alarms/" + v.ID, Body: alarmOf(v)}, err
}

// OnAlarm is the path of an alarm.
type OnAlarm struct {
	OnTicket
	ID string `path:"id" doc:"the alarm's id"`
}

func (a *api) patchAlarm(ctx context.Context, c *call, in *struct {
	OnAlarm
	Body AlarmInput
}) (*answer[alarmShape], error) {
	v, err := a.Desk.PutAlarm(ctx, c.agent, c.ticket.Number, in.ID, threading.NewAlarm(in.Body))
	return &answer[alarmShape]{Body: alarmOf(v)}, err
}

func (a *api) deleteAlarm(ctx context.Context, c *call, in *OnAlarm) (*nothing, error) {
	return &nothing{}, a.Desk.DeleteAlarm(ctx, c.agent, c.ticket.Number, in.ID)
}
