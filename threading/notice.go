package threading

import (
	"context"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// tellAgent tells one agent something that is for his eyes alone, in the
// console and not by mail: his mail may be forged, and an answer to it would go
// to whoever he is. reason is a word for programs, text a sentence; ticket and
// activityID may be none.
func (w *work) tellAgent(ctx context.Context, agentID string, ticket int64, activityID, reason, text string) error {
	return w.tx.AddEvent(ctx, store.Event{
		Kind: store.EventAgentNotice, Ticket: ticket, ActivityID: activityID, AgentID: agentID, At: w.now,
		Data: store.EventData{Reason: reason, Text: message.Clean(text)},
	})
}
