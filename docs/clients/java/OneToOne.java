/** Compares the faces of two pictures: OneToOne REFERENCE CANDIDATE */
public class OneToOne {
    public static void main(String[] pictures) throws Exception {
        var match = Faceline.form("/v2/match/images",
            "referenceImage", "@" + pictures[0], "referenceImageType", "SELFIE",
            "candidateImage", "@" + pictures[1], "candidateImageType", "SELFIE").body();
        System.out.println(Faceline.values(match, "score").get(0) + " " + Faceline.values(match, "falseAcceptanceRate").get(0));
    }
}
