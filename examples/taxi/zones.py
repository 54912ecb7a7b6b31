"""The taxi zones of New York: what the `zones` table is filled with.

Rules: a zone is a number, a name and a borough, as the Taxi & Limousine Commission draws its map. A few names cover
several numbers (Corona, Governor's Island); a name alone means the lowest of them. The commission's 264 and 265 stand
for "unknown" and "outside the city": they are no zones, and are not here.
"""

from __future__ import annotations

import msgspec


class Zone(msgspec.Struct, frozen=True):
    """A zone of the map; its number is the key it travels under."""

    number: int
    name: str
    borough: str


# Borough by borough and alphabetically, since numbers follow names: "name number; name number; ...".
_BOROUGHS = {
    "Manhattan": """
        Alphabet City 4; Battery Park 12; Battery Park City 13; Bloomingdale 24; Central Harlem 41; Central Harlem North
        42; Central Park 43; Chinatown 45; Clinton East 48; Clinton West 50; East Chelsea 68; East Harlem North 74; East
        Harlem South 75; East Village 79; Financial District North 87; Financial District South 88; Flatiron 90; Garment
        District 100; Governor's Island/Ellis Island/Liberty Island 103; Governor's Island/Ellis Island/Liberty Island
        104; Governor's Island/Ellis Island/Liberty Island 105; Gramercy 107; Greenwich Village North 113; Greenwich
        Village South 114; Hamilton Heights 116; Highbridge Park 120; Hudson Sq 125; Inwood 127; Inwood Hill Park 128;
        Kips Bay 137; Lenox Hill East 140; Lenox Hill West 141; Lincoln Square East 142; Lincoln Square West 143; Little
        Italy/NoLiTa 144; Lower East Side 148; Manhattan Valley 151; Manhattanville 152; Marble Hill 153;
        Meatpacking/West Village West 158; Midtown Center 161; Midtown East 162; Midtown North 163; Midtown South 164;
        Morningside Heights 166; Murray Hill 170; Penn Station/Madison Sq West 186; Randalls Island 194; Roosevelt
        Island 202; Seaport 209; SoHo 211; Stuy Town/Peter Cooper Village 224; Sutton Place/Turtle Bay North 229; Times
        Sq/Theatre District 230; TriBeCa/Civic Center 231; Two Bridges/Seward Park 232; UN/Turtle Bay South 233; Union
        Sq 234; Upper East Side North 236; Upper East Side South 237; Upper West Side North 238; Upper West Side South
        239; Washington Heights North 243; Washington Heights South 244; West Chelsea/Hudson Yards 246; West Village
        249; World Trade Center 261; Yorkville East 262; Yorkville West 263
    """,
    "Brooklyn": """
        Bath Beach 11; Bay Ridge 14; Bedford 17; Bensonhurst East 21; Bensonhurst West 22; Boerum Hill 25; Borough Park
        26; Brighton Beach 29; Brooklyn Heights 33; Brooklyn Navy Yard 34; Brownsville 35; Bushwick North 36; Bushwick
        South 37; Canarsie 39; Carroll Gardens 40; Clinton Hill 49; Cobble Hill 52; Columbia Street 54; Coney Island 55;
        Crown Heights North 61; Crown Heights South 62; Cypress Hills 63; DUMBO/Vinegar Hill 66; Downtown
        Brooklyn/MetroTech 65; Dyker Heights 67; East Flatbush/Farragut 71; East Flatbush/Remsen Village 72; East New
        York 76; East New York/Pennsylvania Avenue 77; East Williamsburg 80; Erasmus 85; Flatbush/Ditmas Park 89;
        Flatlands 91; Fort Greene 97; Gowanus 106; Gravesend 108; Green-Wood Cemetery 111; Greenpoint 112; Homecrest
        123; Kensington 133; Madison 149; Manhattan Beach 150; Marine Park/Floyd Bennett Field 154; Marine Park/Mill
        Basin 155; Midwood 165; Ocean Hill 177; Ocean Parkway South 178; Park Slope 181; Prospect Heights 189; Prospect
        Park 190; Prospect-Lefferts Gardens 188; Red Hook 195; Sheepshead Bay 210; South Williamsburg 217; Starrett City
        222; Stuyvesant Heights 225; Sunset Park East 227; Sunset Park West 228; Williamsburg (North Side) 255;
        Williamsburg (South Side) 256; Windsor Terrace 257
    """,
    "Queens": """
        Astoria 7; Astoria Park 8; Auburndale 9; Baisley Park 10; Bay Terrace/Fort Totten 15; Bayside 16; Bellerose 19;
        Breezy Point/Fort Tilden/Riis Beach 27; Briarwood/Jamaica Hills 28; Broad Channel 30; Cambria Heights 38;
        College Point 53; Corona 56; Corona 57; Douglaston 64; East Elmhurst 70; East Flushing 73; Elmhurst 82;
        Elmhurst/Maspeth 83; Far Rockaway 86; Flushing 92; Flushing Meadows-Corona Park 93; Forest Hills 95; Forest
        Park/Highland Park 96; Fresh Meadows 98; Glen Oaks 101; Glendale 102; Hammels/Arverne 117; Hillcrest/Pomonok
        121; Hollis 122; Howard Beach 124; JFK Airport 132; Jackson Heights 129; Jamaica 130; Jamaica Bay 2; Jamaica
        Estates 131; Kew Gardens 134; Kew Gardens Hills 135; LaGuardia Airport 138; Laurelton 139; Long Island
        City/Hunters Point 145; Long Island City/Queens Plaza 146; Maspeth 157; Middle Village 160; Murray Hill-Queens
        171; North Corona 173; Oakland Gardens 175; Old Astoria 179; Ozone Park 180; Queens Village 191; Queensboro Hill
        192; Queensbridge/Ravenswood 193; Rego Park 196; Richmond Hill 197; Ridgewood 198; Rockaway Park 201; Rosedale
        203; Saint Albans 205; Saint Michaels Cemetery/Woodside 207; South Jamaica 215; South Ozone Park 216;
        Springfield Gardens North 218; Springfield Gardens South 219; Steinway 223; Sunnyside 226; Whitestone 252;
        Willets Point 253; Woodhaven 258; Woodside 260
    """,
    "Bronx": """
        Allerton/Pelham Gardens 3; Bedford Park 18; Belmont 20; Bronx Park 31; Bronxdale 32; City Island 46;
        Claremont/Bathgate 47; Co-Op City 51; Country Club 58; Crotona Park 59; Crotona Park East 60; East
        Concourse/Concourse Village 69; East Tremont 78; Eastchester 81; Fordham South 94; Highbridge 119; Hunts Point
        126; Kingsbridge Heights 136; Longwood 147; Melrose South 159; Morrisania/Melrose 167; Mott Haven/Port Morris
        168; Mount Hope 169; Norwood 174; Parkchester 182; Pelham Bay 183; Pelham Bay Park 184; Pelham Parkway 185;
        Rikers Island 199; Riverdale/North Riverdale/Fieldston 200; Schuylerville/Edgewater Park 208; Soundview/Bruckner
        212; Soundview/Castle Hill 213; Spuyten Duyvil/Kingsbridge 220; University Heights/Morris Heights 235; Van
        Cortlandt Park 240; Van Cortlandt Village 241; Van Nest/Morris Park 242; West Concourse 247; West Farms/Bronx
        River 248; Westchester Village/Unionport 250; Williamsbridge/Olinville 254; Woodlawn/Wakefield 259
    """,
    "Staten Island": """
        Arden Heights 5; Arrochar/Fort Wadsworth 6; Bloomfield/Emerson Hill 23; Charleston/Tottenville 44;
        Eltingville/Annadale/Prince's Bay 84; Freshkills Park 99; Great Kills 109; Great Kills Park 110; Grymes
        Hill/Clifton 115; Heartland Village/Todt Hill 118; Mariners Harbor 156; New Dorp/Midland Beach 172; Oakwood 176;
        Port Richmond 187; Rossville/Woodrow 204; Saint George/New Brighton 206; South Beach/Dongan Hills 214; Stapleton
        221; West Brighton 245; Westerleigh 251
    """,
    "EWR": """
        Newark Airport 1
    """,
}


def _read_map() -> dict[int, Zone]:
    zones = {}
    for borough, text in _BOROUGHS.items():
        for entry in " ".join(text.split()).split("; "):
            name, _, number = entry.rpartition(" ")
            zones[int(number)] = Zone(int(number), name, borough)
    return dict(sorted(zones.items()))


ZONES = _read_map()
"""Zone by number."""

NUMBERS = {zone.name: number for number, zone in reversed(ZONES.items())}
"""Zone number by name; the lowest where several share the name."""
