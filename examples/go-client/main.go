// A storefront's two calls: what to show a shopper, and what the shopper did then.
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"log"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"recsvc-go-client/recsvcv1"
)

// Both calls may be sent again where nobody answered: Recommend reads, and an event with a known id is not
// recorded twice.
const serviceConfig = `{
  "methodConfig": [{
    "name": [
      {"service": "recsvc.v1.RecommendationService"},
      {"service": "recsvc.v1.EventService"}
    ],
    "retryPolicy": {
      "maxAttempts": 3, "initialBackoff": "0.05s", "maxBackoff": "0.5s", "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE"]
    }
  }]
}`

func main() {
	address := flag.String("address", "127.0.0.1:50051", "HOST:PORT of the server")
	user := flag.String("user", "", "user id; empty for a visitor who is not known")
	topK := flag.Int("top-k", 5, "how many items")
	flag.Parse()

	connection, err := grpc.NewClient(*address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(serviceConfig))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()

	if err := visit(connection, *user, int32(*topK)); err != nil {
		log.Fatal(explain(err))
	}
}

// visit shows a shopper a list, and records that the first item was looked at.
func visit(connection *grpc.ClientConn, user string, topK int32) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()

	session := rand.Text()
	answer, err := recsvcv1.NewRecommendationServiceClient(connection).Recommend(ctx, &recsvcv1.RecommendRequest{
		UserId:    user,
		SessionId: session,
		PageSize:  topK,
		Language:  recsvcv1.Language_LANGUAGE_EN,
	})
	if err != nil {
		return err
	}
	for place, ranked := range answer.GetResults() {
		fmt.Printf("%2d  %-12s %-30s %s\n", place+1,
			ranked.GetItem().GetItemId(), ranked.GetItem().GetTitle(), ranked.GetReason().GetText())
	}
	fmt.Println("snapshot", answer.GetInfo().GetSnapshotId())
	if len(answer.GetResults()) == 0 {
		return nil
	}

	recorded, err := recsvcv1.NewEventServiceClient(connection).RecordEvents(ctx, &recsvcv1.RecordEventsRequest{
		Events: []*recsvcv1.Event{{
			EventId:          rand.Text(),
			UserId:           user,
			SessionId:        session,
			ItemId:           answer.GetResults()[0].GetItem().GetItemId(),
			EventType:        recsvcv1.EventType_EVENT_TYPE_VIEW,
			EventTime:        timestamppb.Now(),
			AttributionToken: answer.GetInfo().GetAttributionToken(),
		}},
	})
	if err != nil {
		return err
	}
	fmt.Println("events recorded:", recorded.GetRecordedCount())
	return nil
}

// explain returns a refusal with its reason, and the request field at fault where there is one.
func explain(err error) string {
	refusal := status.Convert(err)
	text := fmt.Sprintf("%s (%s)", refusal.Message(), refusal.Code())
	for _, detail := range refusal.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			text += ", reason " + detail.GetReason()
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				text += ", field " + violation.GetField()
			}
		}
	}
	return text
}
