package threading

import "ticketgate/store"

// CheckStatuses asks that a channel uses the statuses that it sets, and turns
// none of them into what it is not: invalid, with the field.
func CheckStatuses(desk *store.Desk, c store.Channel) error {
	for _, set := range []struct{ field, id string }{
		{"default_status_id", c.DefaultStatusID}, {"on_incoming", c.OnIncoming}, {"on_outgoing", c.OnOutgoing},
	} {
		if set.id != "" && !c.Allows(set.id) {
			return store.Invalid(set.field, "is not among the channel's statuses")
		}
	}
	for id, turn := range c.Responsibilities {
		s := desk.Status(id)
		if s == nil || s.Closed || turn != store.ResponsibleUs && turn != store.ResponsibleCustomer {
			return store.Invalid("responsibilities", "says us or customer of open statuses")
		}
	}
	return nil
}
