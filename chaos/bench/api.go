package bench

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// api answers Put, Range of one key, Status and MoveLeader as etcd does, from a member of ours. Both ways Put and Range
// are what the API server of the product calls: Node.Propose; Node.Read and then the store's view.
type api struct {
	pb.UnimplementedKVServer
	pb.UnimplementedMaintenanceServer
	node  *consensus.Node
	store *store.Store
	self  consensus.MemberID
	ids   []consensus.MemberID // a member's number is its place here, from 1
}

// prefix keeps the bench's keys away from the membership.
const prefix = "/bench/"

func (a *api) register(s *grpc.Server) {
	pb.RegisterKVServer(s, a)
	pb.RegisterMaintenanceServer(s, a)
}

func (a *api) number(id consensus.MemberID) uint64 {
	for i, other := range a.ids {
		if other == id {
			return uint64(i) + 1
		}
	}
	return 0
}

func (a *api) header(r store.Revision) *pb.ResponseHeader {
	return &pb.ResponseHeader{MemberId: a.number(a.self), Revision: int64(r)}
}

// Put writes one key.
func (a *api) Put(ctx context.Context, r *pb.PutRequest) (*pb.PutResponse, error) {
	txn := store.Txn{Then: []store.Op{store.Put(prefix+string(r.Key), r.Value)}}
	result, err := a.node.Propose(ctx, consensus.Proposal{Txn: txn})
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	return &pb.PutResponse{Header: a.header(result.Revision)}, nil
}

// Range reads one key, linearizably unless the request says otherwise.
func (a *api) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	if !r.Serializable {
		if _, err := a.node.Read(ctx); err != nil {
			return nil, status.Error(codes.Unavailable, err.Error())
		}
	}
	view := a.store.View()
	answer := &pb.RangeResponse{Header: a.header(view.Revision())}
	if kv, ok := view.Get(prefix + string(r.Key)); ok {
		answer.Count = 1
		answer.Kvs = []*mvccpb.KeyValue{{
			Key: r.Key, Value: kv.Value, CreateRevision: int64(kv.Created), ModRevision: int64(kv.Modified), Version: 1,
		}}
	}
	return answer, nil
}

// Status says who leads.
func (a *api) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	s := a.node.Status()
	votes := false
	for _, id := range s.Voters {
		votes = votes || id == a.self
	}
	return &pb.StatusResponse{
		Header: a.header(a.store.View().Revision()), Leader: a.number(s.Leader), RaftTerm: s.Term,
		RaftIndex: s.Commit, RaftAppliedIndex: s.Applied, IsLearner: !votes,
	}, nil
}

// MoveLeader hands the leadership on.
func (a *api) MoveLeader(ctx context.Context, _ *pb.MoveLeaderRequest) (*pb.MoveLeaderResponse, error) {
	if err := a.node.Transfer(ctx); err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	return &pb.MoveLeaderResponse{Header: a.header(a.store.View().Revision())}, nil
}
