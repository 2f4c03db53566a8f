// What Fabric's own code says of the MSPs, identities and signatures that fabric_msp.py makes.
package main

import (
	"encoding/hex"
	"encoding/json"
	"os"

	"github.com/hyperledger/fabric-lib-go/bccsp/sw"
	pb "github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"github.com/hyperledger/fabric/msp"
	"google.golang.org/protobuf/proto"
)

type question struct {
	MSP, Identity, Data, Signature []byte
	V3                             bool
}

// Empty where there is no MSP or no identity.
type answer struct {
	Setup, Identity, Valid, Signed bool
	Roles                          []int32
	Units                          []string
}

func main() {
	csp, err := sw.NewDefaultSecurityLevelWithKeystore(sw.NewDummyKeyStore())
	check(err)
	var questions []question
	check(json.NewDecoder(os.Stdin).Decode(&questions))
	answers := make([]answer, len(questions))
	for i, q := range questions {
		version := msp.MSPVersion(msp.MSPv1_4_3)
		if q.V3 {
			version = msp.MSPv3_0
		}
		m, err := msp.New(&msp.BCCSPNewOpts{NewBaseOpts: msp.NewBaseOpts{Version: version}}, csp)
		check(err)
		conf := &pb.MSPConfig{}
		check(proto.Unmarshal(q.MSP, conf))
		if m.Setup(conf) != nil {
			continue
		}
		answers[i].Setup = true
		id, err := m.DeserializeIdentity(q.Identity)
		if err != nil {
			continue
		}
		a := &answers[i]
		a.Identity, a.Valid, a.Signed = true, id.Validate() == nil, id.Verify(q.Data, q.Signature) == nil
		name, err := m.GetIdentifier()
		check(err)
		for role := int32(0); role < 5; role++ {
			principal, err := proto.Marshal(&pb.MSPRole{MspIdentifier: name, Role: pb.MSPRole_MSPRoleType(role)})
			check(err)
			if id.SatisfiesPrincipal(&pb.MSPPrincipal{Principal: principal}) == nil {
				a.Roles = append(a.Roles, role)
			}
		}
		if a.Valid {
			for _, unit := range id.GetOrganizationalUnits() {
				a.Units = append(a.Units, unit.OrganizationalUnitIdentifier+" "+hex.EncodeToString(unit.CertifiersIdentifier))
			}
		}
	}
	check(json.NewEncoder(os.Stdout).Encode(answers))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
