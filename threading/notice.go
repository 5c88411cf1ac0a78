package threading

import (
	"context"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// tellAgent tells one agent, in the console and not by mail, what came of a mail
// in his name: it may be forged, and then nobody is to get an answer. reason is a
// word for programs, text a sentence; ticket and activityID may be none.
func (w *work) tellAgent(ctx context.Context, agentID string, ticket int64, activityID, reason, text string) error {
	return w.tx.AddEvent(ctx, store.Event{
		Kind: store.EventAgentNotice, Ticket: ticket, ActivityID: activityID, AgentID: agentID, At: w.now,
		Data: store.EventData{Reason: reason, Text: message.Clean(text)},
	})
}
