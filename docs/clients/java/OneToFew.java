import java.util.ArrayList;

/** Compares a picture's face with those of others, the best match first: OneToFew REFERENCE CANDIDATE... */
public class OneToFew {
    public static void main(String[] pictures) throws Exception {
        var session = Faceline.location(Faceline.call("POST", "/v2/bio-sessions"));
        var faces = new ArrayList<String>();
        for (var picture : pictures) {
            faces.add(Faceline.location(Faceline.form(session + "/faces",
                "image", "@" + picture, "imageType", "SELFIE", "friendlyName", picture)));
        }
        var matches = Faceline.call("GET", faces.get(0) + "/matches").body();
        // Each match also names the reference, so only the names of the others are printed, in their order.
        System.out.println(String.join(" ", Faceline.values(matches, "score")));
        Faceline.values(matches, "friendlyName").stream().filter(name -> !name.equals(pictures[0])).forEach(System.out::println);
        Faceline.call("DELETE", session);
    }
}
